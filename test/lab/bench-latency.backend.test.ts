import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { AbortError, OptionError } from '../../src/errors.ts';
import { benchLatency, type LatencyOptions } from '../../src/lab/bench-latency.ts';
import type { BenchProgress } from '../../src/lab/bench-progress.ts';
import { DiT } from '../../src/models/dit.ts';
import { type DiTGenerateOptions, DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classPainter, type Painter } from '../../src/pipelines/painter.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { randomArchive } from '../support/random-weights.ts';
import { loadTinyPipeline, withTinyCheckpoint } from '../support/tiny-dit.ts';

/** The tiny DiT's sizes at the paper's depth. */
function deepPipeline(): Promise<DiTPipeline> {
  return withTinyCheckpoint((checkpoint) => {
    const config = { ...checkpoint.transformer.config, depth: 28 };
    const archive = randomArchive(DiT.parameterShapes(config));
    return DiTPipeline.fromCheckpoint({ ...checkpoint, transformer: { config, archive } });
  });
}

let pipe: DiTPipeline;
let painter: Painter;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
  painter = classPainter(pipe);
});
afterAll(() => pipe.dispose());
afterEach(() => jest.restoreAllMocks());

it("reports exactly 1.6 for the paper's setting, and positive times", async () => {
  const deep = await deepPipeline();
  const cache = deltaDiT({ interval: 2, cachedBlocks: 21, stageBound: 12 });
  const report = await benchLatency(classPainter(deep), { runs: 1, numInferenceSteps: 20, cache }).finally(() =>
    deep.dispose(),
  );
  expect(report.macsRatio).toBe(1.6);
  expect(report.macs.uncached.linear / report.macs.cached.linear).toBe(1.6);
  expect(report).toMatchObject({
    backend: globalThis.DELTA_DIT_BACKEND,
    numerics: 'diffusers',
    sampler: 'ddim',
    guidanceScale: 4,
    numInferenceSteps: 20,
    batchSize: 1,
    subjects: ['0'],
    cache: 'delta-dit',
    peakCachedBytes: 2 * 16 * 48 * 4, // [2N,T,D] float32
  });
  expect(report.parameters).toBeGreaterThan(28 * 12 * 48 * 48);
  const [pair] = report.pairs;
  expect(report.latencyRatio).toBe(pair!.uncachedSeconds / pair!.cachedSeconds);
  for (const side of [report.uncachedSeconds, report.cachedSeconds, report.stepSeconds.cached!])
    expect(side.min).toBeGreaterThan(0);
});

it('warms up, then runs pairs in alternating order with the same pictures', async () => {
  const generate = jest.spyOn(pipe, 'generate');
  await benchLatency(painter, {
    runs: 2,
    numInferenceSteps: 4,
    batchSize: 9,
    guidanceScale: 2,
    sampler: 'dpm-solver++',
  });
  const calls = generate.mock.calls.map(([options]) => options);
  const summary = ({ numInferenceSteps, cache }: DiTGenerateOptions) =>
    `${typeof cache === 'object' ? cache.name : 'uncached'} ${numInferenceSteps}`;
  expect(calls.map(summary)).toEqual([
    'delta-dit 4',
    ...['uncached 4', 'delta-dit 4'],
    ...['delta-dit 4', 'uncached 4'],
  ]);
  for (const { classLabels, seed, guidanceScale, sampler } of calls) {
    expect(classLabels).toEqual(['0', '1', '2', '3', '4', '5', '6', '0', '1']);
    expect([seed, guidanceScale, sampler]).toEqual([0, 2, 'dpm-solver++']);
  }
});

it('tells how far it is, from more than nothing to all', async () => {
  const seen: BenchProgress[] = [];
  await benchLatency(painter, { runs: 1, numInferenceSteps: 4, onProgress: (progress) => seen.push(progress) });
  expect(seen.map(({ what }) => what)).toEqual([
    ...Array(4).fill('warm-up'),
    ...Array(4).fill('uncached, pair 1 of 1'),
    ...Array(4).fill('cached, pair 1 of 1'),
  ]);
  const done = seen.map((progress) => progress.done);
  expect(done).toEqual([...done].sort((a, b) => a - b));
  expect(done[0]).toBeGreaterThan(0);
  expect(done.at(-1)).toBe(1);
});

it('leaks nothing, also where it is stopped in mid-pair', async () => {
  await expectNoLeak(() => benchLatency(painter, { runs: 1, numInferenceSteps: 4 }));
  const stop = new AbortController();
  const onProgress = ({ what }: BenchProgress) => {
    if (what.startsWith('cached')) stop.abort();
  };
  const work = () => benchLatency(painter, { runs: 2, numInferenceSteps: 4, signal: stop.signal, onProgress });
  await expectCleanFailure(work, AbortError, /stopped before step 2 of 4/);
});

const refused: [string, LatencyOptions, RegExp][] = [
  ['no runs', { runs: 0 }, /^runs: expected a whole number from 1 to 1000 .*, got 0/],
  ['half a run', { runs: 1.5 }, /^runs: .* got 1.5/],
  ['no pictures', { batchSize: 0 }, /^batchSize: expected a whole number from 1 to 256 .*, got 0/],
  ['no subjects', { subjects: [] }, /^subjects: expected at least one class of a DiT or prompt for a PixArt, got none/],
  ['a class that is not there', { subjects: ['moon'] }, /^class: /],
  ['no steps', { numInferenceSteps: 0 }, /^numInferenceSteps: .* got 0/],
  ['a method that does not fit', { cache: deltaDiT({ cachedBlocks: 4 }) }, /^cachedBlocks: .* from 0 to 3/],
  ['an unknown sampler', { sampler: 'euler' as 'ddim' }, /^sampler: expected ddim/],
];
it.each(refused)('refuses %s before anything runs', async (_, options, text) => {
  const onProgress = () => {
    throw new Error('a step was made');
  };
  await expectCleanFailure(() => benchLatency(painter, { ...options, onProgress }), OptionError, text);
});
