import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { forecast } from '../../src/cache/policies/forecast.ts';
import { AbortError, OptionError } from '../../src/errors.ts';
import { cached, type LabMethod, uncached } from '../../src/lab/lab-method.ts';
import { type LabBatch, type LabOptions, type LabStore, runLab } from '../../src/lab/lab-run.ts';
import { labTable } from '../../src/lab/lab-table.ts';
import { type LabTiming, type TimingOptions, timeLab } from '../../src/lab/lab-timing.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import type { PixelImage } from '../../src/pipelines/image.ts';
import { classPainter, type Painter } from '../../src/pipelines/painter.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

const CONVERGED = uncached('ddim', 12);
const BASELINE = uncached('ddim', 4);
const DELTA = cached(deltaDiT({ cachedBlocks: 2, stageBound: 2 }), 'ddim', 4);
const FORECAST = cached(forecast({ interval: 2 }), 'deis', 6, 'N=2');
const METHODS: readonly LabMethod[] = [CONVERGED, BASELINE, uncached('deis', 6), DELTA, FORECAST];
const PICTURES = [3, 4, 5].map((seed, i) => ({ subject: String(i), seed }));

let pipe: DiTPipeline;
let painter: Painter;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
  painter = classPainter(pipe);
});
afterAll(() => pipe.dispose());

class Kept implements LabStore {
  readonly batches: { readonly batch: LabBatch; readonly images: readonly PixelImage[] }[] = [];

  async has(method: string, first: number): Promise<boolean> {
    return this.batches.some(({ batch }) => batch.method === method && batch.first === first);
  }

  async save(batch: LabBatch, images: readonly PixelImage[]): Promise<void> {
    this.batches.push({ batch, images });
  }

  results() {
    return METHODS.map((method) => {
      const own = this.batches.filter(({ batch }) => batch.method === method.name);
      const images = own.flatMap((one) => one.images);
      return { method, batches: own.map(({ batch }) => batch), images, extracted: null };
    });
  }
}

const run = (store: LabStore, options: Partial<LabOptions> = {}) =>
  runLab(painter, METHODS, { pictures: PICTURES, batchSize: 2, store, ...options });

describe('runLab', () => {
  it('makes every method’s pictures in turn, and goes on where it was stopped', async () => {
    const store = new Kept();
    const controller = new AbortController();
    let steps = 0;
    const onProgress = () => {
      steps += 1;
      if (steps === 20) controller.abort(); // in the batch of the baseline's successor
    };
    await expect(run(store, { onProgress, signal: controller.signal })).rejects.toThrow(AbortError);
    const before = store.batches.map(({ batch }) => batch.method);
    expect(before).toEqual(METHODS.slice(0, before.length).map(({ name }) => name));
    expect(before.length).toBeGreaterThan(1);
    const progress: number[] = [];
    await expectNoLeak(() => run(store, { onProgress: ({ done }) => progress.push(done) }));
    const names = METHODS.map(({ name }) => name);
    expect(store.batches.map(({ batch }) => `${batch.first} ${batch.method}`)).toEqual([
      ...names.map((name) => `0 ${name}`),
      ...names.map((name) => `2 ${name}`),
    ]);
    expect(progress.at(-1)).toBeCloseTo(1, 10);
    await run(store); // nothing is left to make
    expect(store.batches).toHaveLength(2 * names.length);
    const { images } = await pipe.generate({ classLabels: [2], seed: 5, numInferenceSteps: 4 });
    expect(psnr(store.results()[1]!.images[2]!, images[0]!)).toBe(Number.POSITIVE_INFINITY);
  });

  it('makes nothing where a method cannot run', async () => {
    const store = new Kept();
    const methods = [BASELINE, cached(deltaDiT({ cachedBlocks: 9 }), 'ddim', 4)];
    const options = { pictures: PICTURES, batchSize: 2, store };
    await expectCleanFailure(() => runLab(painter, methods, options), OptionError, /^cachedBlocks: /);
    await expectCleanFailure(() => run(store, { batchSize: 0 }), OptionError, /^batchSize: /);
    await expectCleanFailure(() => run(store, { pictures: [] }), OptionError, /^pictures: /);
    expect(store.batches).toEqual([]);
  });
});

class KeptTimings {
  readonly timings: LabTiming[] = [];
  async add(timing: LabTiming): Promise<void> {
    this.timings.push(timing);
  }
}

describe('timeLab', () => {
  const compared = METHODS.slice(1);
  const time = (store: KeptTimings, methods = compared, options: Partial<TimingOptions> = {}) =>
    timeLab(painter, methods, { pictures: PICTURES, rounds: 2, batchSize: 1, baseline: BASELINE, store, ...options });
  const inOrder = ({ timings }: KeptTimings) => timings.map(({ round, method }) => `${round} ${method}`);

  it('times every method a round, there and back, each with its baseline, and goes on where it was stopped', async () => {
    const store = new KeptTimings();
    const controller = new AbortController();
    const stop = ({ what }: { what: string }) => what.includes('round 2') && controller.abort();
    await expect(time(store, compared, { onProgress: stop, signal: controller.signal })).rejects.toThrow(AbortError);
    expect(store.timings).toHaveLength(4);
    const progress: number[] = [];
    await expectNoLeak(() => time(store, compared, { onProgress: ({ done }) => progress.push(done) }));
    const [first, ...others] = compared.map(({ name }) => name);
    expect(inOrder(store)).toEqual([
      ...[first, ...others].map((name) => `0 ${name}`),
      ...[first, ...others.toReversed()].map((name) => `1 ${name}`),
    ]);
    expect(progress.at(-1)).toBeCloseTo(1, 10);
    for (const { round, pictures, samplingSeconds, baselineSeconds } of store.timings) {
      const own = store.timings.find((one) => one.round === round && one.method === BASELINE.name);
      expect([pictures, baselineSeconds]).toEqual([1, own!.samplingSeconds]);
      expect(samplingSeconds).toBeGreaterThan(0);
    }
  });

  it('gives methods that come later a baseline of their own, and times nothing twice', async () => {
    const store = new KeptTimings();
    await time(store, [BASELINE], { rounds: 1 });
    await time(store, [BASELINE, DELTA], { rounds: 1 });
    expect(inOrder(store)).toEqual([`0 ${BASELINE.name}`, `0 ${DELTA.name}`]);
    expect(store.timings[1]!.baselineSeconds).not.toBe(store.timings[0]!.samplingSeconds);
    await time(store, [BASELINE, DELTA], { rounds: 1 });
    expect(store.timings).toHaveLength(2);
    await expectCleanFailure(() => time(store, compared, { rounds: 0 }), OptionError, /^rounds: /);
    await expectCleanFailure(() => time(store, compared, { batchSize: 0 }), OptionError, /^batchSize: /);
    await expectCleanFailure(() => time(store, compared, { pictures: [] }), OptionError, /^pictures: /);
  });
});

describe('labTable', () => {
  const setting = { baseline: BASELINE.name, converged: CONVERGED.name };

  it('measures pictures against the converged and the uncached ones, and cost against the baseline', async () => {
    const store = new Kept();
    await run(store);
    const results = store.results();
    const rows = labTable(results, setting);
    expect(rows.map(({ method }) => method)).toEqual(METHODS.slice(1).map(({ name }) => name));
    const [baseline, deis, delta, forecasted] = rows;
    expect([baseline!.latencyRatio, baseline!.macsRatio, baseline!.peakCachedBytes]).toEqual([1, 1, 0]);
    expect(baseline!.toUncached).toBeNull();
    expect(delta!.macsRatio).toBe(12 / 8);
    expect(forecasted!.macsRatio).toBe(12 / (4 * 3)); // steps 0, 2, 4 and 5 of 6
    expect(deis!.macsRatio).toBe(4 / 6);
    expect(delta!.peakCachedBytes).toBeGreaterThan(0);
    const decibels = results[3]!.images.map((image, i) => psnr(image, results[1]!.images[i]!));
    expect(delta!.toUncached!.psnr).toBeCloseTo(decibels.reduce((sum, one) => sum + one, 0) / 3, 10);
    expect(forecasted!.toUncached).not.toBeNull(); // the uncached deis of 6 steps
    expect(rows.every(({ recognised }) => recognised === null)).toBe(true);
  });

  it('says by how much a row is above uncached sampling of the same time', () => {
    const image = (value: number): PixelImage => ({
      ...{ width: 16, height: 16 },
      data: Uint8ClampedArray.from({ length: 1024 }, (_, i) => (i % 4 === 3 ? 255 : (value + ((i * 37) % 50)) % 256)),
    });
    const made = (method: LabMethod, samplingSeconds: number, value: number) => ({
      ...{ method, images: [image(value)], extracted: null },
      batches: [{ method: method.name, first: 0, samplingSeconds, macs: 1, peakCachedBytes: 0, stepBlocks: [] }],
    });
    const [converged, fast, slow] = [
      made(CONVERGED, 9, 100),
      made(BASELINE, 1, 108),
      made(uncached('ddim', 8), 4, 102),
    ];
    const between = made(DELTA, 2, 104);
    const rows = labTable([converged, fast, slow, between], setting);
    const decibels = rows.map(({ toConverged }) => toConverged.psnr);
    expect(rows[2]!.margin).toBeCloseTo(decibels[2]! - (decibels[0]! + decibels[1]!) / 2, 10); // half way in log time
    expect(rows[0]!.margin).toBe(0);
  });

  it('takes times of rounds where all methods have some, else those of the batches', async () => {
    const store = new Kept();
    await run(store);
    const results = store.results();
    const timed = results.map((one, i) => ({
      ...one,
      timings: [1, 2, 4].map((load, round) => ({
        ...{ method: one.method.name, round, pictures: 2 },
        ...{ samplingSeconds: load * (i + 1), baselineSeconds: load * 2 },
      })),
    }));
    const rows = labTable(timed, setting);
    expect(rows.map(({ latencyRatio }) => latencyRatio)).toEqual([2 / 2, 2 / 3, 2 / 4, 2 / 5]);
    expect(rows.map(({ secondsPerPicture }) => secondsPerPicture)).toEqual([2, 3, 4, 5]); // the median load, 2 pictures
    expect(rows[1]!.timed).toEqual({ kind: 'rounds', count: 3, pictures: 2 });
    expect(rows[1]!.latencyRatios.spread).toBe(0);
    const [, ...some] = timed.toReversed();
    const batches = labTable([...some, results.at(-1)!], setting);
    expect(batches.map((row) => row.timed)).toEqual(
      Array.from({ length: 4 }, () => ({ kind: 'batches', count: 2, pictures: 2 })),
    );
  });

  it('needs the methods that it compares with', () => {
    expect(() => labTable([], setting)).toThrow(RangeError);
  });
});
