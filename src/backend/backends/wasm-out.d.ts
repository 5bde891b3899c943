declare module '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js' {
  /** Makes the WebAssembly module that has threads. */
  const factory: (config: unknown) => unknown;
  export default factory;
}

declare module '*?raw' {
  /** The text of the file, as bundlers give it. */
  const text: string;
  export default text;
}
