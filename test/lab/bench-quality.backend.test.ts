import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { AbortError, OptionError } from '../../src/errors.ts';
import type { BenchProgress } from '../../src/lab/bench-progress.ts';
import { benchQuality, type MethodPictures, type QualityOptions } from '../../src/lab/bench-quality.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { ssim } from '../../src/metrics/ssim.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classPainter, type Painter } from '../../src/pipelines/painter.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

const QUICK = { seeds: [5, 6, 7], numInferenceSteps: 4, referenceSteps: 6, batchSize: 2 } as const;
const method = (name: string, cache = deltaDiT({ cachedBlocks: 2, stageBound: 2 })) => ({
  name,
  numInferenceSteps: 4,
  cache,
});

let pipe: DiTPipeline;
let painter: Painter;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
  painter = classPainter(pipe);
});
afterAll(() => pipe.dispose());

it('sets every method against the uncached picture and the reference of the same noise', async () => {
  const made = new Map<string, MethodPictures['images'][number][]>();
  const onPictures = ({ method: name, first, images }: MethodPictures) => {
    expect(made.get(name) ?? []).toHaveLength(first);
    made.set(name, [...(made.get(name) ?? []), ...images]);
  };
  const report = await benchQuality(painter, { ...QUICK, methods: [method('Δ')], onPictures });
  expect([...made.keys()]).toEqual(['6 steps', '4 steps', 'Δ']);
  expect(report).toMatchObject({ seeds: [5, 6, 7], subjects: ['0', '1', '2'], numInferenceSteps: 4, batchSize: 2 });
  expect(report.reference!.numInferenceSteps).toBe(6);
  const [uncached, cached] = report.methods;
  expect([uncached!.method, uncached!.cache, uncached!.toUncached]).toEqual(['4 steps', null, null]);
  expect([cached!.method, cached!.cache]).toEqual(['Δ', 'delta-dit']);
  for (const [i, picture] of cached!.pictures.entries()) {
    const image = made.get('Δ')![i]!;
    const [plain, best] = [made.get('4 steps')![i]!, made.get('6 steps')![i]!];
    expect(picture).toEqual({
      subject: String(i),
      seed: 5 + i,
      toUncached: { psnr: psnr(image, plain), ssim: ssim(image, plain) },
      toReference: { psnr: psnr(image, best), ssim: ssim(image, best) },
    });
    const { images } = await pipe.generate({ classLabels: i, seed: 5 + i, numInferenceSteps: 6 });
    expect(psnr(images[0]!, best)).toBeGreaterThan(45); // in a batch of another size, which may round otherwise
  }
});

it('finds methods that change nothing identical, and their cost the same', async () => {
  const methods = [method('N = 1', deltaDiT({ interval: 1 })), method('N_c = 0', deltaDiT({ cachedBlocks: 0 }))];
  const { methods: rows } = await benchQuality(painter, { ...QUICK, methods });
  for (const row of rows.slice(1)) {
    expect(row.toUncached!.psnr).toEqual({ median: Infinity, mean: Infinity, std: 0, identical: 3 });
    expect(row.toUncached!.ssim.mean).toBeCloseTo(1, 12);
    expect(row.toReference).toEqual(rows[0]!.toReference);
    expect(row.macsRatio).toBe(1);
    expect(row.latencyRatio).toBeGreaterThan(0);
  }
  expect(rows[0]!.toReference!.psnr.identical).toBe(0);
});

it('caching moves pictures, and as many steps as the reference has do not', async () => {
  const methods = [method('Δ'), { name: 'more', numInferenceSteps: 6 }];
  const { methods: rows } = await benchQuality(painter, { ...QUICK, methods });
  expect(rows[1]!.toUncached!.psnr.identical).toBe(0);
  expect(rows[1]!.macsRatio).toBe(1.5); // 12 blocks, of which 4 are reused
  expect(rows[2]!.toReference!.psnr.identical).toBe(3);
  expect(rows[2]!.macsRatio).toBe(4 / 6);
});

it("compares the paper's methods where none are named", async () => {
  const { methods } = await benchQuality(painter, { ...QUICK, seeds: [1], numInferenceSteps: 6 });
  expect(methods.map((row) => row.method)).toEqual([
    ...['6 steps', 'delta-dit', 'delta-cache-front', 'delta-cache-middle', 'delta-cache-rear'],
    ...['feature-cache-front', 'feature-cache-rear', '5 steps'],
  ]);
  // 1 of 3 blocks at every second step: 18, of which 3 are reused
  expect(methods.map((row) => row.macsRatio)).toEqual([1, ...Array(7).fill(1.2)]);
});

it('takes the subjects that are named, in turn', async () => {
  const { subjects, subjectKind, methods } = await benchQuality(painter, {
    ...{ ...QUICK, subjects: ['tree', '2'], methods: [method('Δ')] },
  });
  expect([subjects, subjectKind]).toEqual([['tree', '2', 'tree'], 'class']);
  expect(methods[1]!.pictures.map(({ subject }) => subject)).toEqual(subjects);
});

it('tells how far it is, and leaks nothing', async () => {
  const seen: BenchProgress[] = [];
  const onProgress = (progress: BenchProgress) => seen.push(progress);
  await expectNoLeak(() => benchQuality(painter, { ...QUICK, methods: [method('Δ')], onProgress }));
  expect(seen).toHaveLength(2 * (6 + 4 + 4));
  expect(seen[0]!.what).toBe('6 steps, pictures 1–2');
  expect(seen.at(-1)).toEqual({ done: 1, what: 'Δ, pictures 3–3' });
});

it('leaks nothing where it is stopped', async () => {
  const stop = new AbortController();
  const onProgress = ({ what }: BenchProgress) => {
    if (what.startsWith('Δ')) stop.abort();
  };
  const work = () => benchQuality(painter, { ...QUICK, methods: [method('Δ')], onProgress, signal: stop.signal });
  await expectCleanFailure(work, AbortError, /stopped before step 2 of 4/);
});

const refused: [string, QualityOptions, RegExp][] = [
  ['no seeds', { seeds: [] }, /^seeds: expected at least one, got none/],
  ['no subjects', { subjects: [] }, /^subjects: expected at least one class of a DiT or prompt/],
  ['a class that is not there', { subjects: ['1', 'moon'] }, /^class: /],
  ['a negative seed', { seeds: [-1] }, /^seed: /],
  ['a reference of fewer steps', { referenceSteps: 3 }, /^referenceSteps: expected a whole number from 4 to 1000/],
  ['too many steps', { referenceSteps: 1001 }, /^referenceSteps: .* got 1001/],
  ['no batch', { batchSize: 0 }, /^batchSize: .* got 0/],
  ['no steps', { numInferenceSteps: 0 }, /^numInferenceSteps: .* got 0/],
  ['a method that does not fit', { methods: [method('Δ', deltaDiT({ cachedBlocks: 4 }))] }, /^cachedBlocks: /],
];
it.each(refused)('refuses %s before anything runs', async (_, options, text) => {
  const onProgress = () => {
    throw new Error('a step was made');
  };
  await expectCleanFailure(() => benchQuality(painter, { ...QUICK, ...options, onProgress }), OptionError, text);
});
