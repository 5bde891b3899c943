import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { HashThread } from '../../converters/hash-thread.ts';
import { AbortError, FileError } from '../../src/errors.ts';
import { seededIntegers } from '../checkpoint/mutations.ts';

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-hash-'));
const path = join(scratch, 'file');
const integer = seededIntegers(5);
/** More than the thread reads at once. */
const content = Uint8Array.from({ length: 2_500_000 }, () => integer(256));
const sha256 = createHash('sha256').update(content).digest('hex');
const thread = new HashThread();

beforeAll(() => writeFileSync(path, content));
afterAll(async () => {
  await thread.end();
  rmSync(scratch, { recursive: true });
});

it('gives length, sha256 and the CRC-32 of pieces in any order, empty ones and such as cross its buffer among them', async () => {
  const cuts = Array.from({ length: 60 }, () => integer(content.length)).sort((a, b) => a - b);
  const pieces = cuts.map((offset, i) => ({ offset, bytes: (cuts[i + 1] ?? content.length) - offset })).reverse();
  pieces.push({ offset: 100, bytes: 0 });
  const crc32s = pieces.map(({ offset, bytes }) => crc32(content.subarray(offset, offset + bytes)));
  expect(await thread.whole(path, pieces)).toMatchObject({ bytes: content.length, sha256, crc32s });
});

it('tells how far it is, and fails with what is thrown at that', async () => {
  const large = join(scratch, 'large');
  writeFileSync(large, new Uint8Array(40_000_000));
  const told: number[] = [];
  expect((await thread.whole(large, [], (bytes) => told.push(bytes))).bytes).toBe(40_000_000);
  expect(told).toEqual([16_777_216, 33_554_432]);
  const stop = new AbortError('enough');
  const stopping = () => {
    throw stop;
  };
  await expect(thread.whole(large, [], stopping)).rejects.toBe(stop);
});

it('answers questions that are asked at once, of one file twice', async () => {
  const both = await Promise.all([thread.whole(path), thread.whole(path)]);
  expect(both.map((hashed) => hashed.sha256)).toEqual([sha256, sha256]);
});

it('says which file cannot be read, and goes on', async () => {
  await expect(thread.whole(join(scratch, 'absent'))).rejects.toThrow(FileError);
  await expect(thread.whole(join(scratch, 'absent'))).rejects.toThrow(/absent: could not be read again \(ENOENT/);
  expect((await thread.whole(path)).sha256).toBe(sha256);
});
