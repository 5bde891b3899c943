import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { castTensor } from '../../converters/cast.ts';
import { type ConvertProgress, convertCheckpoint } from '../../converters/convert.ts';
import { inspectCheckpoint } from '../../converters/inspect.ts';
import { openDiT } from '../../converters/open-dit.ts';
import { encodeFloat32, toFloat32 } from '../../src/checkpoint/dtypes.ts';
import type { StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { AbortError, CheckpointError } from '../../src/errors.ts';

const FOLDER = 'test/fixtures/parity/dit-tiny-diffusers';
const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-convert-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const values = async (tensor: StoredTensor | undefined) => Array.from(toFloat32(await tensor!.read(), tensor!.dtype));

describe('convertCheckpoint', () => {
  it('spreads weights over shards that read back as one', async () => {
    const out = join(scratch, 'shards');
    const steps: number[] = [];
    const { manifest, nonFinite } = await convertCheckpoint({
      from: FOLDER,
      out,
      dtype: 'float32',
      shardBytes: 200_000,
      onProgress: ({ doneBytes, totalBytes }) => steps.push(doneBytes / totalBytes),
    });
    expect(manifest.transformer.files.length).toBeGreaterThan(2);
    expect(manifest.transformer.files[0]?.name).toMatch(/^transformer-00001-of-0000\d\.safetensors$/);
    expect(nonFinite).toBe(0);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(1);
    const [converted, foreign] = [await openDiT(out), await openDiT(FOLDER)];
    expect([...converted.transformer.archive.tensors.keys()].sort()).toEqual(
      [...foreign.transformer.archive.tensors.keys()].sort(),
    );
    for (const [name, tensor] of converted.transformer.archive.tensors) {
      expect(await values(tensor)).toEqual(await values(foreign.transformer.archive.tensors.get(name)));
    }
    await Promise.all([converted.close(), foreign.close()]);
  });

  it('stores bfloat16, rounded to nearest even', async () => {
    const out = join(scratch, 'bfloat16');
    await convertCheckpoint({ from: FOLDER, out, dtype: 'bfloat16' });
    const [converted, foreign] = [await openDiT(out), await openDiT(FOLDER)];
    const name = 'blocks.1.mlp.fc1.kernel';
    const exact = Float32Array.from(await values(foreign.transformer.archive.tensors.get(name)));
    expect(await values(converted.transformer.archive.tensors.get(name))).toEqual(
      Array.from(toFloat32(encodeFloat32(exact, 'BF16'), 'BF16')),
    );
    await Promise.all([converted.close(), foreign.close()]);
  });

  it('stops at once when its signal says so and leaves nothing behind', async () => {
    const stop = new AbortController();
    const out = join(scratch, 'stopped');
    const work = convertCheckpoint({ from: FOLDER, out, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(work).rejects.toBeInstanceOf(AbortError);
    expect(readdirSync(scratch).filter((name) => name.includes('stopped'))).toEqual([]);
  });

  it('stops between the last tensors and the last checksums, too', async () => {
    const stop = new AbortController();
    const out = join(scratch, 'late');
    const onProgress = ({ doneBytes, totalBytes }: ConvertProgress) => {
      if (doneBytes > totalBytes / 2 && doneBytes < totalBytes) stop.abort();
    };
    await expect(convertCheckpoint({ from: FOLDER, out, signal: stop.signal, onProgress })).rejects.toBeInstanceOf(
      AbortError,
    );
    expect(readdirSync(scratch).filter((name) => name.includes('late'))).toEqual([]);
  });
});

describe('castTensor', () => {
  const tensor = (numbers: number[]): StoredTensor => ({
    name: 'w',
    dtype: 'F32',
    shape: [numbers.length],
    read: async () => new Uint8Array(Float32Array.from(numbers).buffer),
  });

  it('refuses what float16 cannot hold, and says what can', async () => {
    const cast = castTensor(tensor([1, 70_000]), 'F16', { nonFinite: 0 });
    await expect(cast.read()).rejects.toThrow(
      new CheckpointError('w: 70000 does not fit into float16; convert with --dtype bfloat16'),
    );
  });

  it('counts NaN and infinities and keeps them', async () => {
    const counts = { nonFinite: 0 };
    const read = await castTensor(tensor([Number.NaN, Number.POSITIVE_INFINITY, 2]), 'F16', counts).read();
    expect(Array.from(toFloat32(read, 'F16'))).toEqual([Number.NaN, Number.POSITIVE_INFINITY, 2]);
    expect(counts.nonFinite).toBe(2);
  });

  it('refuses integers', async () => {
    const whole: StoredTensor = { name: 'steps', dtype: 'I64', shape: [1], read: async () => new Uint8Array(8) };
    await expect(castTensor(whole, 'F32', { nonFinite: 0 }).read()).rejects.toThrow(
      /expected floating-point weights, got I64/,
    );
  });
});

it('inspectCheckpoint tells every part of a folder', async () => {
  const parts = await inspectCheckpoint(FOLDER);
  expect(parts.map(({ description }) => description.split(',')[0])).toEqual(['DiT (depth 3', 'AutoencoderKL']);
});
