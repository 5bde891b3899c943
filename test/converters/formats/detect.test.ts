import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { detectFormat, openCheckpointFile } from '../../../converters/formats/detect.ts';
import { fileSource } from '../../../src/checkpoint/file-source.ts';
import { CheckpointError, FormatError } from '../../../src/errors.ts';
import { bytesSource } from '../../checkpoint/bytes-source.ts';
import { publicFile } from '../../public-files.ts';
import { damagedPieces } from '../../support/checksums.ts';
import { described, type TorchValue } from './torch-files.ts';

const text = (value: string) => new TextEncoder().encode(value);
/** The header block of a tar, as far as it is looked at. */
function tar(): Uint8Array {
  const block = new Uint8Array(512);
  block.set(text('ustar'), 257);
  return block;
}
const fixture = (name: string) => new Uint8Array(readFileSync(`test/fixtures/torch/${name}`));

describe('detectFormat', () => {
  it.each([
    ['torch-zip', fixture('views-2.pt')],
    ['torch-legacy', fixture('legacy.pt')],
    ['torch-legacy', Uint8Array.from([0x80, 4, 0x95, ...new Array(8).fill(0), ...fixture('legacy.pt').subarray(2)])],
    ['safetensors', fixture('dtypes.safetensors')],
    ['pickle', Uint8Array.of(0x80, 2, 0x4e, 0x2e)],
    ['empty', new Uint8Array()],
    ['git-lfs-pointer', text('version https://git-lfs.github.com/spec/v1\noid sha256:00\n')],
    ['html', text('<!DOCTYPE html>')],
    ['json', text('{"error": "not found"}')],
    ['gzip', gzipSync('x')],
    ['hdf5', Uint8Array.of(0x89, 0x48, 0x44, 0x46, 13, 10)],
    ['unknown', text('abc')],
    ['unknown', new Uint8Array(1000)],
  ])('sees %s', async (format, bytes) => {
    expect(await detectFormat(bytesSource(bytes))).toBe(format);
  });
});

describe('openCheckpointFile', () => {
  it('prefers the averaged weights of a training file', async () => {
    const content = fixture('training-2.pt');
    const archive = await openCheckpointFile(bytesSource(content, 'train.pt'));
    expect(archive.name).toBe('train.pt (ema)');
    expect([...archive.tensors.keys()]).toEqual(['weight', 'bias']);
    const model = await openCheckpointFile(bytesSource(fixture('training-2.pt')), 'model');
    expect([...model.tensors.keys()]).toEqual(['weight', 'bias']);
    expect(archive.checksums?.length).toBeGreaterThan(1);
    expect(damagedPieces(archive.checksums, content)).toEqual([]);
  });

  it.each([
    [fixture('legacy.pt').subarray(0, 300), FormatError, /ends in the middle/],
    [tar(), FormatError, /it is a tar.*save it again/],
    [fixture('torchscript.pt'), FormatError, /is a TorchScript program.*torch.jit.load/],
    [text('version https://git-lfs.github.com/spec/v1'), FormatError, /git lfs pull/],
    [text('abc'), FormatError, /none of the formats/],
    [fixture('dtypes.safetensors').subarray(0, 200), FormatError, /truncated/],
    [fixture('views-2.pt').subarray(0, 2000), FormatError, /zip directory cannot be read/],
  ])('refuses by name and closes the source (%#)', async (bytes, kind, message) => {
    const source = bytesSource(bytes, 'file.pt');
    const error = await openCheckpointFile(source).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(/^file\.pt: /);
    expect((error as Error).message).toMatch(message);
    expect(source.closed).toBe(true);
  });

  it('closes the source when there is no such key', async () => {
    const source = bytesSource(fixture('training-2.pt'));
    await expect(openCheckpointFile(source, 'none')).rejects.toThrow(CheckpointError);
    expect(source.closed).toBe(true);
  });
});

describe('the public files', () => {
  const expected: Record<string, Record<string, TorchValue> | null> = JSON.parse(
    readFileSync('test/fixtures/public-checkpoint-values.json', 'utf8'),
  );
  const folder = publicFile('checkpoint-files', 'reading the public checkpoint files as PyTorch does');

  it.each(Object.keys(expected))("%s: torch's values, or refused by name", async (name) => {
    if (!folder) return;
    const source = await fileSource(join(folder, name));
    const tensors = expected[name];
    const refusal = { 'torch-tar': /it is a tar/, unknown: /none of the formats/ };
    const format = await detectFormat(source);
    if (format in refusal) {
      await expect(openCheckpointFile(source)).rejects.toThrow(refusal[format as keyof typeof refusal]);
      return;
    }
    const archive = await openCheckpointFile(source);
    const got: Record<string, TorchValue> = {};
    for (const [path, tensor] of archive.tensors) got[path] = await described(tensor, tensors?.[path]);
    expect(got).toEqual(tensors);
    await archive.close();
  });
});
