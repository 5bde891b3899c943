import { assertInside, type ByteSource } from './byte-source.ts';

/** Several sources as one, their bytes one after the other. Closing it closes all. */
export function joinSources(name: string, sources: readonly ByteSource[]): ByteSource {
  const starts: number[] = [];
  let size = 0;
  for (const source of sources) {
    starts.push(size);
    size += source.size;
  }
  const joined: ByteSource = {
    name,
    size,
    async read(offset, length, into) {
      assertInside(joined, offset, length);
      const bytes = into?.subarray(0, length) ?? new Uint8Array(length);
      for (const [i, source] of sources.entries()) {
        const start = starts[i] ?? 0;
        const from = Math.max(offset, start);
        const to = Math.min(offset + length, start + source.size);
        if (from < to) bytes.set(await source.read(from - start, to - from), from - offset);
      }
      return bytes;
    },
    close: async () => {
      await Promise.all(sources.map((source) => source.close()));
    },
  };
  return joined;
}
