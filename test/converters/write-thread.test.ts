import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allocateShared, WriteThread } from '../../converters/write-thread.ts';
import { seededIntegers } from '../checkpoint/mutations.ts';

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-write-'));
const integer = seededIntegers(6);
/** More than the thread writes at once. */
const content = Uint8Array.from({ length: 1_000_003 }, () => integer(256));
const thread = new WriteThread();

afterAll(async () => {
  await thread.end();
  rmSync(scratch, { recursive: true });
});

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

it('writes two files by turns, from shared memory and from a view of other, and hashes each', async () => {
  const paths = [join(scratch, 'one'), join(scratch, 'two')] as const;
  const files = paths.map((path) => openSync(path, 'wx'));
  const shared = allocateShared(content.length + 7).subarray(7);
  shared.set(content);
  for (const cut of [0, 400_000, 400_001, content.length]) {
    for (const [i, path] of paths.entries()) {
      await thread.write(path, files[i] as number, (i === 0 ? shared : content).subarray(cut, cut + 400_000));
    }
  }
  const expected = Buffer.concat([0, 400_000, 400_001].map((cut) => content.subarray(cut, cut + 400_000)));
  for (const path of paths) {
    expect(readFileSync(path).equals(expected)).toBe(true);
    expect(await thread.sha256(path)).toBe(sha256(expected));
  }
  files.map(closeSync);
});

it('writes nothing at all, too', async () => {
  const path = join(scratch, 'empty');
  const file = openSync(path, 'wx');
  await thread.write(path, file, new Uint8Array());
  expect(await thread.sha256(path)).toBe(sha256(new Uint8Array()));
  closeSync(file);
});

it('fails with the code of the system, and goes on', async () => {
  const path = join(scratch, 'read-only');
  closeSync(openSync(path, 'wx'));
  const file = openSync(path, 'r');
  await expect(thread.write(path, file, content)).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
  closeSync(file);
  await expect(thread.write(path, openSync(path, 'w'), content)).resolves.toBeUndefined();
});
