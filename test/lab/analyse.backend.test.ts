import { AbortError, OptionError } from '../../src/errors.ts';
import { type AnalyseOptions, analyseDeltas, type DeltaAnalysis } from '../../src/lab/analyse.ts';
import { DELTA_MEASURES, type DeltaMeasure } from '../../src/lab/delta-series.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classPainter } from '../../src/pipelines/painter.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

const PICTURES = [
  { subject: '1', seed: 7 },
  { subject: 'tree', seed: 8 },
  { subject: '1', seed: 9 },
];
const STEPS = 3;
const MEASURES = Object.keys(DELTA_MEASURES) as DeltaMeasure[];

let pipe: DiTPipeline;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
});
afterAll(() => pipe.dispose());

const analyse = (options: Partial<AnalyseOptions> = {}) =>
  analyseDeltas(classPainter(pipe), { pictures: PICTURES, numInferenceSteps: STEPS, ...options });

type Row = readonly number[];

/** Every block's residual as the pipeline reports it: by step and block, a list of the rows. */
async function reportedDeltas(picture: (typeof PICTURES)[number], guidanceScale: number): Promise<Row[][][]> {
  const deltas: Row[][][] = Array.from({ length: STEPS }, () => []);
  await pipe.generate({
    ...{ classLabels: [picture.subject], seed: [picture.seed], numInferenceSteps: STEPS, guidanceScale },
    onBlockDelta: async ({ step, block, delta }) => {
      deltas[step]![block] = (await delta.array()).map((row) => row.flat());
    },
  });
  return deltas;
}

const dot = (a: Row, b: Row) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const norm = (a: Row) => Math.sqrt(dot(a, a));
const minus = (a: Row, b: Row) => a.map((value, i) => value - b[i]!);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function expectClose(got: readonly (number | null)[], want: readonly (number | null)[], tolerance = 1e-4): void {
  expect(got.map((value) => value === null)).toEqual(want.map((value) => value === null));
  for (const [i, value] of want.entries()) {
    expect(Math.abs(got[i]! - value!)).toBeLessThanOrEqual(tolerance * Math.max(1e-3, Math.abs(value!)));
  }
}

describe('analyseDeltas', () => {
  it.each([
    [4, 2],
    [1, 1],
  ])('at guidance %d averages what each picture and half (%d) has on its own', async (guidanceScale, halves) => {
    const analysis = await analyse({ guidanceScale });
    expect(analysis.rows).toBe(PICTURES.length * halves);
    const runs: Row[][][][] = [];
    for (const picture of PICTURES) runs.push(await reportedDeltas(picture, guidanceScale));
    expect(runs[0]![0]![0]).toHaveLength(halves);
    const rows = runs.flatMap((run) => Array.from({ length: halves }, (_, row) => ({ run, row })));
    for (const [block, series] of analysis.blocks.entries()) {
      const of = (measure: (now: Row, before: Row) => number) =>
        Array.from({ length: STEPS }, (_, step) => {
          if (step === 0) return null;
          return mean(rows.map(({ run, row }) => measure(run[step]![block]![row]!, run[step - 1]![block]![row]!)));
        });
      expect(series).toMatchObject({ first: block, count: 1 });
      expectClose(
        series.mean.norm,
        Array.from({ length: STEPS }, (_, step) => mean(rows.map(({ run, row }) => norm(run[step]![block]![row]!)))),
      );
      expectClose(
        series.mean.cosine,
        of((now, before) => dot(now, before) / (norm(now) * norm(before))),
      );
      expectClose(
        series.mean.relativeChange,
        of((now, before) => norm(minus(now, before)) / norm(before)),
      );
    }
  });

  it('measures the spans that Δ-Cache would skip', async () => {
    const analysis = await analyse({ pictures: PICTURES.slice(0, 1), cachedBlocks: 2, guidanceScale: 1 });
    expect(analysis.spans.map(({ region, first, count }) => [region, first, count])).toEqual([
      ['front', 0, 2],
      ['middle', 0, 2],
      ['rear', 1, 2],
    ]);
    const deltas = await reportedDeltas(PICTURES[0]!, 1);
    const sums = deltas.map((blocks) => blocks[1]![0]!.map((value, i) => value + blocks[2]![0]![i]!));
    expectClose(analysis.spans[2]!.mean.norm, sums.map(norm));
    expectClose(analysis.spans[2]!.mean.relativeChange, [
      null,
      ...[1, 2].map((step) => norm(minus(sums[step]!, sums[step - 1]!)) / norm(sums[step - 1]!)),
    ]);
    expect((await analyse({ cachedBlocks: 0 })).spans).toEqual([]);
    // depth 3, at most 8 steps: round(3·6/28) block
    expect((await analyse()).spans.map(({ count }) => count)).toEqual([1, 1, 1]);
  });

  it('does not depend on the batches', async () => {
    const [whole, single] = [await analyse({ batchSize: 3 }), await analyse({ batchSize: 1 })];
    const pairs = await analyse({ batchSize: 2 });
    for (const other of [single, pairs]) {
      expect(other.rows).toBe(whole.rows);
      for (const [i, block] of whole.blocks.entries())
        for (const measure of MEASURES) {
          expectClose(other.blocks[i]!.mean[measure], block.mean[measure]);
          expectClose(other.blocks[i]!.std[measure], block.std[measure], 1e-3);
        }
    }
  });

  it('says what it measured', async () => {
    const progress: number[] = [];
    const analysis = await analyse({
      ...{ guidanceScale: 3, sampler: 'dpm-solver++', batchSize: 2 },
      onProgress: ({ done, what }) => {
        expect(what).toBe(`step ${(progress.length % STEPS) + 1}/${STEPS}`);
        progress.push(done);
      },
    });
    expect(analysis).toMatchObject({
      ...{ backend: globalThis.DELTA_DIT_BACKEND, numerics: 'original', sampler: 'dpm-solver++', eta: 0 },
      ...{ guidanceScale: 3, subjects: ['1', 'tree', '1'], subjectKind: 'class', seeds: [7, 8, 9], rows: 6 },
    });
    expect(analysis.timesteps).toHaveLength(STEPS);
    const want = [2 / 9, 4 / 9, 6 / 9, 7 / 9, 8 / 9, 1];
    for (const [i, done] of progress.entries()) expect(done).toBeCloseTo(want[i]!, 12);
    expect(progress).toHaveLength(want.length);
  });

  it('has one number a step, the first step without a comparison', async () => {
    const { blocks, spans }: DeltaAnalysis = await analyse();
    for (const { mean: means, std } of [...blocks, ...spans])
      for (const measure of MEASURES)
        for (const series of [means[measure], std[measure]]) {
          const isKnown = series.map((value) => value !== null);
          expect(isKnown).toEqual([measure === 'norm' || measure === 'relativeNorm', true, true]);
        }
    expect((await analyse({ numInferenceSteps: 1 })).blocks[0]!.mean.cosine).toEqual([null]);
  });

  it('leaks nothing, not on success, nor when stopped or refused', async () => {
    await expectNoLeak(() => analyse({ batchSize: 2, sampler: 'ddpm-original' }));
    const controller = new AbortController();
    await expectCleanFailure(
      () => analyse({ signal: controller.signal, batchSize: 2, onProgress: () => controller.abort() }),
      AbortError,
      /stopped before step 2 of 3/,
    );
    const refused: [Partial<AnalyseOptions>, RegExp][] = [
      [{ pictures: [] }, /^pictures: expected at least one, got none/],
      [{ pictures: [...PICTURES, { subject: 'moon', seed: 1 }] }, /^class: /],
      [{ pictures: [...PICTURES, { subject: '1', seed: -1 }] }, /^seed: /],
      [{ numInferenceSteps: 0 }, /^numInferenceSteps: /],
      [{ cachedBlocks: 4 }, /^cachedBlocks: expected a whole number from 0 to 3/],
      [{ batchSize: 0 }, /^batchSize: /],
      [{ batchSize: 1.5 }, /^batchSize: /],
    ];
    // the first batch alone would be right: all are checked before it
    const onProgress = () => {
      throw new Error('a step was made');
    };
    for (const [options, text] of refused)
      await expectCleanFailure(() => analyse({ batchSize: 2, onProgress, ...options }), OptionError, text);
  });
});
