import { basename } from 'node:path';
import type { Manifest } from '../src/checkpoint/manifest.ts';
import type { HashThread } from './hash-thread.ts';

/**
 * Name, size and sha256 of the files that a conversion reads, found out beside it.
 * @throws FileError when one cannot be read
 */
export async function describeSources(paths: readonly string[], thread: HashThread): Promise<Manifest['source']> {
  return Promise.all(
    paths.map(async (path) => {
      const { bytes, sha256 } = await thread.whole(path);
      return { name: basename(path), bytes, sha256 };
    }),
  );
}
