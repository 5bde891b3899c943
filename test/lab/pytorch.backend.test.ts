import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { BackendError } from '../../src/errors.ts';
import { benchImage } from '../../src/lab/bench-image.ts';
import { benchSpeed } from '../../src/lab/bench-speed.ts';
import { type TorchStart, torchPainter, torchRival } from '../../src/lab/bench-torch.ts';
import { blockWorkload } from '../../src/lab/block-workload.ts';
import { imageWorkload, underDDIM } from '../../src/lab/image-workload.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { withTinyCheckpoint } from '../support/tiny-dit.ts';
import { withPixArtCheckpoint } from '../support/tiny-pixart.ts';
import { unchecked } from '../unchecked.ts';

const start: TorchStart = {
  python: process.env.DELTA_DIT_PYTHON ?? 'python3',
  script: join(__dirname, '../../src/lab/pytorch/bench.py'),
  threads: 1,
};
const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-pytorch-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs a check where there is torch and diffusers, and says so where there is not. */
async function withTorch(check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!(error instanceof BackendError) || !/pip install|cannot be run/.test(error.message)) throw error;
    unchecked('bench against PyTorch: a python3 (or DELTA_DIT_PYTHON) with torch and diffusers');
  }
}

const TINY: [string, <T>(use: (checkpoint: OpenedCheckpoint) => Promise<T>) => Promise<T>][] = [
  ['a DiT', (use) => withTinyCheckpoint((tiny) => use(underDDIM({ pipeline: 'DiTPipeline', ...tiny })))],
  [
    'a PixArt',
    (use) => withPixArtCheckpoint('tiny', (tiny) => use(underDDIM({ pipeline: 'PixArtPipeline', ...tiny }))),
  ],
];

describe.each(TINY)('of %s', (_, withTiny) => {
  it('blocks are the same in PyTorch', async () => {
    await withTiny(async (checkpoint) => {
      const workload = await blockWorkload(checkpoint, { batchSize: 1 });
      const check = async () => {
        const rival = await torchRival(workload, start, scratch);
        const report = await benchSpeed(workload, { rounds: 1, rival }).finally(() => rival.end());
        expect(report.pytorch?.relativeL2).toBeLessThan(1e-5);
      };
      await withTorch(check).finally(() => workload.dispose());
    });
  });

  it('pictures are the same in PyTorch', async () => {
    await withTiny(async (checkpoint) => {
      const isDiT = checkpoint.pipeline === 'DiTPipeline';
      const pipe = await (isDiT ? DiTPipeline.fromCheckpoint(checkpoint) : PixArtPipeline.fromCheckpoint(checkpoint));
      const subjects = isDiT ? ['1', '0'] : ['a red apple', 'a cat'];
      const workload = await imageWorkload(checkpoint, { pipe, subjects, numInferenceSteps: 3, guidanceScale: 2 });
      const check = async () => {
        const rival = await torchPainter(workload, start, scratch);
        const report = await benchImage(workload, { rounds: 1, rival }).finally(() => rival.end());
        const { latents = 1, images = 1 } = report.pytorch?.relativeL2 ?? {};
        expect(Math.max(latents, images)).toBeLessThan(1e-4);
      };
      await withTorch(check).finally(() => {
        workload.dispose();
        pipe.dispose();
      });
    });
  });
});
