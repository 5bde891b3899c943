/** Makes this look like a browser until it is undone, with a `navigator` like the page's. */
export function pretendBrowser(navigator: object): () => void {
  const node = Object.getOwnPropertyDescriptor(process, 'versions')!;
  const ours = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(process, 'versions', { ...node, value: {} });
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  return () => {
    Object.defineProperty(process, 'versions', node);
    if (ours) Object.defineProperty(globalThis, 'navigator', ours);
    else Reflect.deleteProperty(globalThis, 'navigator');
  };
}
