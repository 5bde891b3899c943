import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { AbortError, BackendError, OptionError } from '../../src/errors.ts';
import { profileWorkload, STEP_PARTS } from '../../src/lab/bench-profile.ts';
import { BENCH_SIZE_NAMES, benchCheckpoint } from '../../src/lab/bench-sizes.ts';
import { benchSpeed } from '../../src/lab/bench-speed.ts';
import { type Rival, torchRival } from '../../src/lab/bench-torch.ts';
import { blockWorkload } from '../../src/lab/block-workload.ts';
import { modelWorkload } from '../../src/lab/model-workload.ts';
import { randomArchive } from '../../src/lab/random-archive.ts';
import type { Workload } from '../../src/lab/workload.ts';
import { runAllBlocks } from '../../src/models/block.ts';
import { DiT } from '../../src/models/dit.ts';
import { PixArt } from '../../src/models/pixart.ts';
import { expectNoLeak } from '../support/memory.ts';

const SMALL = { hiddenSize: 48, depth: 2, numHeads: 4, inputSize: 8 };

/** A size that is benched, made small. */
function small(name: string): OpenedCheckpoint {
  const checkpoint = benchCheckpoint(name);
  if (checkpoint.pipeline === 'DiTPipeline') {
    const config = { ...checkpoint.transformer.config, ...SMALL };
    return { ...checkpoint, transformer: { config, archive: randomArchive(DiT.parameterShapes(config)) } };
  }
  const config = { ...checkpoint.transformer.config, ...SMALL, captionChannels: 16 };
  return { ...checkpoint, transformer: { config, archive: randomArchive(PixArt.parameterShapes(config)) } };
}

const MADE: [string, () => Promise<Workload>, number[]][] = [
  ['blocks of a DiT', () => blockWorkload(small('demo'), { batchSize: 2, tokens: 5 }), [4, 5, 48]],
  ['blocks of a PixArt', () => blockWorkload(small('PixArt-512'), { batchSize: 1 }), [2, 16, 48]],
  ['a DiT', () => modelWorkload(small('DiT-XL/2-256'), 1), [2, 8, 8, 8]],
  ['a PixArt', () => modelWorkload(small('PixArt-1024'), 2), [4, 8, 8, 8]],
];

describe.each(MADE)('a workload of %s', (_, make, shape) => {
  it('gives the same result each time, also under a profile, and leaks nothing', async () => {
    await expectNoLeak(async () => {
      const workload = await make();
      const [first, again] = [await workload.run(), await workload.run(runAllBlocks)];
      expect(first.shape).toEqual(shape);
      expect(Array.from(await again.data())).toEqual(Array.from(await first.data()));
      expect((await first.data()).every(Number.isFinite)).toBe(true);
      tf.dispose([first, again]);
      const { parts, profiledMs, outsideBlocks } = await profileWorkload(workload, 2);
      const sum = STEP_PARTS.reduce((total, part) => total + parts[part], 0);
      expect(profiledMs).toBeCloseTo(sum, 9);
      for (const part of STEP_PARTS) expect(parts[part]).toBeGreaterThan(0);
      expect(outsideBlocks).toBeLessThan(1);
      workload.dispose();
    });
  });
});

it('knows its sizes, and refuses others', () => {
  for (const name of BENCH_SIZE_NAMES) expect(benchCheckpoint(name).transformer.config.depth).toBe(28);
  expect(benchCheckpoint('demo').vae.config.blockOutChannels).toEqual([32, 64, 64]);
  expect(() => benchCheckpoint('tiny')).toThrow(OptionError);
});

describe('benchSpeed', () => {
  let workload: Workload;
  beforeAll(async () => {
    workload = await blockWorkload(small('demo'), { batchSize: 1, tokens: 4 });
  });
  afterAll(() => workload.dispose());
  const rival = (changes: Partial<Rival> = {}): Rival => ({
    ...{ versions: 'fake', run: async () => 8, relativeL2: async () => 1e-6, end: () => {} },
    ...changes,
  });

  it('counts a block of the chain, and divides round by round', async () => {
    const done: number[] = [];
    const report = await benchSpeed(workload, { rounds: 3, rival: rival(), onProgress: (p) => done.push(p.done) });
    expect(report.pytorch).toMatchObject({ times: [2, 2, 2], ms: { median: 2, spread: 0 }, relativeL2: 1e-6 });
    expect(report.times).toHaveLength(3);
    expect(report.pytorch?.ratio.min).toBe(report.ms.min / 2);
    expect(done.at(-1)).toBe(1);
    expect((await benchSpeed(workload, { rounds: 1 })).pytorch).toBeNull();
  });

  it('refuses another computation, no rounds, and stops when asked', async () => {
    const other = benchSpeed(workload, { rounds: 1, rival: rival({ relativeL2: async () => 0.3 }) });
    await expect(other).rejects.toThrow(/^PyTorch computes something else: the results differ by 3\.0e-1/);
    const none = benchSpeed(workload, { rounds: 1, rival: rival({ relativeL2: async () => Number.NaN }) });
    await expect(none).rejects.toThrow(BackendError);
    await expect(benchSpeed(workload, { rounds: 0 })).rejects.toThrow(OptionError);
    await expect(benchSpeed(workload, { rounds: 1, signal: AbortSignal.abort() })).rejects.toThrow(AbortError);
  });
});

describe('torchRival', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-rival-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  /** A rival whose result is ones, of the given shape. */
  async function started(workload: Workload, shape: number[]): Promise<Rival> {
    const script = join(scratch, 'child.cjs');
    writeFileSync(
      script,
      `console.log('{"ready": "fake"}');
       require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
         if (line === 'run') return console.log('{"ms": 1}');
         require('node:fs').writeFileSync(line.slice(7), Buffer.from(new Float32Array(${2 * 4 * 48}).fill(1).buffer));
         console.log('{"shape": ${JSON.stringify(shape)}}');
       });`,
    );
    return torchRival(workload, { python: process.execPath, script, threads: 1 }, scratch);
  }

  it('hands over weights and inputs, and measures how far the results are apart', async () => {
    const workload = await blockWorkload(small('demo'), { batchSize: 1, tokens: 4 });
    const rival = await started(workload, [2, 4, 48]);
    const archive = await openSafetensors(await fileSource(join(scratch, 'case.safetensors')));
    expect(Object.fromEntries(archive.metadata)).toMatchObject({ task: 'block', model: 'dit' });
    expect(JSON.parse(archive.metadata.get('config')!)).toMatchObject({ depth: 4, numHeads: 4 });
    expect(archive.tensors.get('inputs.tokens')?.shape).toEqual([2, 4, 48]);
    expect(archive.tensors.get('blocks.3.mlp.fc1.kernel')?.shape).toEqual([48, 192]);
    await archive.close();
    const result = await workload.run();
    const distance = tf.tidy(() => tf.div(tf.norm(tf.sub(result, 1)), Math.sqrt(2 * 4 * 48)));
    expect(await rival.relativeL2()).toBeCloseTo((await distance.data())[0]!, 4);
    rival.end();
    const other = await started(workload, [2, 48, 4]);
    await expect(other.relativeL2()).rejects.toThrow(/of \[2, 48, 4\], ours of \[2, 4, 48\]/);
    other.end();
    tf.dispose([result, distance]);
    workload.dispose();
  });
});
