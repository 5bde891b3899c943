import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import type { Manifest } from '../src/checkpoint/manifest.ts';

/** Name, size and sha256 of the files that a conversion read. */
export async function describeSources(paths: readonly string[]): Promise<Manifest['source']> {
  const described: Manifest['source'] = [];
  for (const path of paths) {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 4 * 2 ** 20 })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    described.push({ name: basename(path), bytes, sha256: hash.digest('hex') });
  }
  return described;
}
