import * as tf from '@tensorflow/tfjs-core';
import { hasPlan, type TableArtifact } from '../../src/cache/artifact.ts';
import { countBlocks } from '../../src/cache/plan.ts';
import { tablePolicy } from '../../src/cache/policies/table.ts';
import { AbortError, OptionError } from '../../src/errors.ts';
import { BranchErrors } from '../../src/lab/branch-errors.ts';
import { BranchMeter } from '../../src/lab/branch-meter.ts';
import { type CalibrateOptions, calibrate } from '../../src/lab/calibrate.ts';
import { smoothCacheSteps } from '../../src/lab/calibrated-schedules.ts';
import { fitPolynomial } from '../../src/lab/polynomial-fit.ts';
import { StackMeter, type StackReading } from '../../src/lab/stack-meter.ts';
import { type Block, plainBranch, runAllBlocks } from '../../src/models/block.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classPainter } from '../../src/pipelines/painter.ts';
import { expectBitEqual } from '../support/compare.ts';
import { type FakeConditioning, failingBlock, fakeBlocks, fakeTokens } from '../support/fake-blocks.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { drawSite, SCHEDULES } from '../support/schedules.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

let pipe: DiTPipeline;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
});
afterAll(() => pipe.dispose());

const PICTURES = [
  { subject: '1', seed: 7 },
  { subject: 'tree', seed: 8 },
  { subject: '1', seed: 9 },
];
const STEPS = 5;
const calibrated = (options: Partial<CalibrateOptions> = {}) =>
  calibrate(classPainter(pipe), { method: 'smoothcache', pictures: PICTURES, numInferenceSteps: STEPS, ...options });

type Errors = Readonly<Record<string, readonly (readonly number[])[]>>;
const errorsOf = ({ measured }: { readonly measured?: unknown }) => (measured as { errors: Errors }).errors;

/** A block of one branch, `mlp`, whose output is given. */
function givenBlock(output: () => tf.Tensor3D): Block<FakeConditioning> {
  const [fake] = fakeBlocks(1);
  return { ...fake!, branches: [plainBranch('mlp', output)] };
}

describe('BranchMeter', () => {
  it('measures what the authors of SmoothCache do', async () => {
    const { outputs, errors, schedule } = SCHEDULES.smoothcache.measured;
    const shape = [2, 3, 2] as const; // [N,T,D] of 2 blocks and 6 steps
    const size = shape[0] * shape[1] * shape[2];
    const measured = new BranchErrors();
    await expectNoLeak(async () => {
      const meter = new BranchMeter(3, (reading) => measured.add(reading));
      for (let step = 0; step < 6; step++) {
        const blocks = [0, 1].map((block) =>
          givenBlock(() => {
            const at = (block * 6 + step) * size;
            return tf.tensor3d(outputs.slice(at, at + size), [...shape]);
          }),
        );
        const tokens = tf.zeros([...shape]) as tf.Tensor3D;
        tf.dispose([tokens, await meter.atStep(step)(blocks, tokens, { gate: 1 })]);
      }
      meter.dispose();
    });
    const rows = measured.of('mlp', 6, 3);
    expect(rows.map(({ length }) => length)).toEqual([5, 4, 3]);
    for (const [k, row] of errors.entries())
      for (const [i, error] of row.entries()) expect(rows[k]![i]).toBeCloseTo(error, 5);
    expect(
      smoothCacheSteps(rows, 0.7, 6)
        .map((full) => (full ? '#' : '.'))
        .join(''),
    ).toBe(schedule);
  });

  it('computes the blocks as they are, and frees everything when one fails', async () => {
    const meter = new BranchMeter(2, () => {});
    const [tokens, cond] = [fakeTokens(), { gate: 0.5 }];
    await expectBitEqual(
      await meter.atStep(0)(fakeBlocks(3), tokens, cond),
      await runAllBlocks(fakeBlocks(3), tokens, cond),
    );
    meter.dispose();
    await expectCleanFailure(
      async () => {
        const failing = new BranchMeter(2, () => {});
        await failing
          .atStep(0)([...fakeBlocks(2), failingBlock()], tokens, cond)
          .finally(() => failing.dispose());
      },
      Error,
      /block failed/,
    );
  });
});

describe('StackMeter', () => {
  it('measures the ratio of the residuals of each token, and relative changes, row by row', async () => {
    const readings: StackReading[] = [];
    const meter = new StackMeter((reading) => readings.push(reading));
    const tokens = fakeTokens();
    await expectNoLeak(async () => {
      const scaled = (factor: number) => [givenBlock(() => tf.tidy(() => tf.mul(tokens, factor)) as tf.Tensor3D)];
      for (const [step, factor] of [1, 3, 1.5].entries())
        tf.dispose(await meter.atStep(step)(scaled(factor), tokens, { gate: 0.5 }));
      meter.dispose();
    });
    // r = factor·h: ratios 3 and ½; h_out = (1 + factor)·h: changes |4 − 2| ÷ 2 and |2.5 − 4| ÷ 4
    expect(readings.map(({ step }) => step)).toEqual([1, 2]);
    expect(readings[0]!.magnitudeRatio).toBeCloseTo(3, 5);
    expect(readings[1]!.magnitudeRatio).toBeCloseTo(0.5, 5);
    expect(readings[0]!.outputChange).toBeCloseTo(1, 5);
    expect(readings[1]!.outputChange).toBeCloseTo(0.375, 5);
    expect(readings[0]!.inputChange).toBe(0);
  });
});

describe('calibrate', () => {
  it('makes a SmoothCache schedule that a run of the same setting follows', async () => {
    const artifact = (await calibrated({ rules: { threshold: 0.5 } })) as TableArtifact;
    expect(artifact).toMatchObject({ method: 'smoothcache', options: { threshold: 0.5, lookahead: 3 } });
    expect(artifact.fingerprint).toMatchObject({
      sampler: 'ddim',
      numInferenceSteps: STEPS,
      guidanceScale: pipe.defaults.guidanceScale,
    });
    for (const name of ['self', 'mlp'] as const) {
      const computed = smoothCacheSteps(errorsOf(artifact)[name]!, 0.5, STEPS);
      for (let block = 0; block < artifact.plan.depth; block++)
        expect(drawSite(artifact.plan, { kind: 'branch', block, branch: name })).toBe(
          computed.map((full) => (full ? '#' : '.')).join(''),
        );
    }
    const cache = tablePolicy(artifact);
    const { report } = await pipe.generate({ classLabels: ['tree'], seed: 1, numInferenceSteps: STEPS, cache });
    expect(report.blocksComputed).toBeCloseTo(countBlocks(artifact.plan).computed, 9);
    await expect(
      pipe.generate({ classLabels: ['tree'], numInferenceSteps: STEPS, cache, guidanceScale: 2 }),
    ).rejects.toThrow(/guidance scale 4, not 2/);
  });

  it('holds everything under an error that all is below, and nothing under 0', async () => {
    const steps = async (threshold: number) => {
      const artifact = await calibrated({ rules: { threshold } });
      return hasPlan(artifact) ? drawSite(artifact.plan, { kind: 'branch', block: 0, branch: 'mlp' }) : '';
    };
    expect(await steps(1e6)).toBe('#...#');
    expect(await steps(0)).toBe('#####');
  });

  it('does not depend on the batches', async () => {
    const [whole, pairs] = [errorsOf(await calibrated({ batchSize: 3 })), errorsOf(await calibrated({ batchSize: 2 }))];
    for (const [branch, rows] of Object.entries(whole))
      for (const [k, row] of rows.entries())
        for (const [i, error] of row.entries())
          expect(Math.abs(pairs[branch]![k]![i]! - error)).toBeLessThan(1e-4 * error);
  });

  it('makes a MagCache schedule of the measured ratios', async () => {
    const artifact = (await calibrated({
      method: 'magcache',
      rules: { threshold: 9, maxSkip: 2, retention: 0 },
    })) as TableArtifact;
    const { ratios } = artifact.measured as { ratios: number[] };
    expect(ratios).toHaveLength(STEPS);
    expect(ratios[0]).toBe(1);
    expect(ratios.slice(1).every((ratio) => ratio > 0)).toBe(true);
    expect(artifact.plan.keeps).toBe('delta');
    expect(artifact.plan.steps.map(({ reuse }) => reuse.length)).toEqual([0, 1, 1, 0, 1]);
    expect(artifact.options).toEqual({ threshold: 9, maxSkip: 2, retention: 0 });
  });

  it('fits TeaCache’s polynomial to a point a step and row', async () => {
    const artifact = await calibrated({ method: 'teacache' });
    if (hasPlan(artifact)) throw new Error('expected coefficients');
    const { input, output } = artifact.measured as { input: number[]; output: number[] };
    expect(input).toHaveLength(PICTURES.length * 2 * (STEPS - 1));
    const again = fitPolynomial(input, output, 4);
    for (const [i, coefficient] of artifact.coefficients.entries())
      expect(Math.abs(again[i]! - coefficient)).toBeLessThan(1e-2 * Math.max(...artifact.coefficients.map(Math.abs)));
  });

  it('says how far it is, frees everything, and stops', async () => {
    const progress: number[] = [];
    const controller = new AbortController();
    await expectNoLeak(() => calibrated({ onProgress: ({ done }) => progress.push(done), batchSize: 2 }));
    expect(progress).toHaveLength(2 * STEPS);
    expect(progress.at(-1)).toBeCloseTo(1, 12);
    await expectCleanFailure(
      () => calibrated({ signal: controller.signal, onProgress: () => controller.abort() }),
      AbortError,
      /stopped/,
    );
  });

  it.each<[Partial<CalibrateOptions>, RegExp]>([
    [{ pictures: [] }, /pictures: expected at least one/],
    [{ batchSize: 0 }, /batchSize/],
    [{ rules: { maxSkip: 2 } }, /maxSkip: is no rule of smoothcache; it takes threshold, lookahead/],
    [{ method: 'teacache', rules: { threshold: 1 } }, /threshold: is no rule of teacache; it takes none/],
    [{ rules: { lookahead: 0 } }, /lookahead: expected a whole number from 1 to 4/],
    [{ method: 'magcache', rules: { retention: 2 } }, /retention to 1/],
    [
      { method: 'teacache', pictures: PICTURES.slice(0, 1), numInferenceSteps: 2 },
      /do not determine a polynomial of degree 4/,
    ],
  ])('refuses %#', async (options, message) => {
    await expectCleanFailure(() => calibrated(options), OptionError, message);
  });
});
