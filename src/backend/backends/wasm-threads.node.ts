/** In Node, tfjs runs WebAssembly on one thread. */
export function prepareThreads(_onWarning: (message: string) => void): void {}
