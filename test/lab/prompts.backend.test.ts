import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { AbortError, CheckpointError, OptionError } from '../../src/errors.ts';
import { analyseDeltas } from '../../src/lab/analyse.ts';
import { benchLatency } from '../../src/lab/bench-latency.ts';
import type { BenchProgress } from '../../src/lab/bench-progress.ts';
import { benchQuality } from '../../src/lab/bench-quality.ts';
import { pixArtCost } from '../../src/models/pixart-config.ts';
import { type Painter, promptPainter } from '../../src/pipelines/painter.ts';
import type { PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { PromptEncoder } from '../../src/pipelines/prompt-encoder.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { loadTinyPixArtPipeline } from '../support/tiny-pixart.ts';

const PROMPTS = ['a red apple', 'an icon of a cat'];
const LCM = { sampler: 'lcm', numInferenceSteps: 4, guidanceScale: 0, batchSize: 2 } as const;
const method = (name: string, cache = deltaDiT({ cachedBlocks: 2, stageBound: 2 })) => ({
  name,
  numInferenceSteps: 4,
  cache,
});

let pipe: PixArtPipeline;
let painter: Painter;
beforeAll(async () => {
  pipe = await loadTinyPixArtPipeline();
  painter = promptPainter(pipe, { negativePrompt: 'blue', width: 32, height: 16 });
  await pipe.keepPrompts(); // what is kept from one measurement to the next is there from the start
});
afterAll(() => pipe.dispose());
afterEach(() => jest.restoreAllMocks());

/** How often the text encoder ran, and on what. */
function spyOnEncoder(): () => (readonly string[])[] {
  const encode = jest.spyOn(PromptEncoder.prototype, 'encode');
  return () => encode.mock.calls.map(([prompts]) => prompts);
}

describe('benchLatency of prompts', () => {
  it('encodes them once, ahead, and counts the MACs of the longest caption', async () => {
    const calls = spyOnEncoder();
    const report = await benchLatency(painter, {
      ...{ subjects: PROMPTS, batchSize: 3, runs: 1, numInferenceSteps: 4, guidanceScale: 2 },
    });
    expect(calls()).toEqual([[...PROMPTS, 'blue']]);
    const described = await painter.describe(PROMPTS, { numInferenceSteps: 4, guidanceScale: 2 });
    expect(report).toMatchObject({
      ...{ subjectKind: 'prompt', subjects: [PROMPTS[0], PROMPTS[1], PROMPTS[0]] },
      ...{ sampler: 'dpm-solver++', width: 32, height: 16, negativePrompts: ['blue'], truncated: [] },
      macs: { uncached: described.macs },
    });
    const { blockLinear } = pixArtCost(pipe.transformer.config, { height: 4, width: 8, captionLength: 120 });
    expect(report.macs.uncached.linear).toBeLessThan(4 * 3 * blockLinear);
  });

  it('says how far encoding is, and leaks nothing, not when it is stopped there', async () => {
    const seen: BenchProgress[] = [];
    const options = { subjects: PROMPTS, runs: 1, numInferenceSteps: 2, guidanceScale: 2 };
    const onProgress = (progress: BenchProgress) => seen.push(progress);
    await benchLatency(painter, options); // keeps its prompts
    await expectNoLeak(() => benchLatency(painter, options));
    await pipe.keepPrompts();
    await benchLatency(painter, { ...options, onProgress });
    expect(seen.slice(0, 3).map(({ what }) => what)).toEqual([
      'text encoder, layer 1 of 2',
      'text encoder, layer 2 of 2',
      'warm-up',
    ]);
    await pipe.keepPrompts();
    const stop = new AbortController();
    const work = () => benchLatency(painter, { ...options, signal: stop.signal, onProgress: () => stop.abort() });
    await expectCleanFailure(work, AbortError, /encoding was stopped after 1 of 2 layers/);
  });

  it('refuses none, and one that says nothing, before anything is encoded', async () => {
    const calls = spyOnEncoder();
    await expectCleanFailure(() => benchLatency(painter), OptionError, /^subjects: expected at least one class/);
    await expectCleanFailure(() => benchLatency(painter, { subjects: [' '] }), OptionError, /^prompt: is empty/);
    expect(calls()).toEqual([]);
  });

  it('refuses a checkpoint that cannot encode', async () => {
    const mute = await loadTinyPixArtPipeline({ openTextEncoder: undefined });
    const work = () => benchLatency(promptPainter(mute), { subjects: PROMPTS });
    await expectCleanFailure(work, CheckpointError, /has no text encoder or no tokenizer; give both/);
    mute.dispose();
  });
});

describe('benchQuality of prompts', () => {
  it('gives a cached and an uncached run of an LCM the same noise at every step', async () => {
    const methods = [method('nothing cached', deltaDiT({ cachedBlocks: 0 })), method('Δ')];
    const report = await benchQuality(painter, { ...LCM, seeds: [5, 6, 7], subjects: PROMPTS, methods });
    expect(report).toMatchObject({ sampler: 'lcm', subjects: [PROMPTS[0], PROMPTS[1], PROMPTS[0]], seeds: [5, 6, 7] });
    expect(report.negativePrompts).toEqual([]); // without guidance
    const [uncached, nothing, delta] = report.methods;
    expect(nothing!.toUncached!.psnr.identical).toBe(3);
    expect(delta!.toUncached!.psnr.identical).toBeLessThan(3);
    expect(uncached!.toUncached).toBeNull();
  });

  it('has no reference under LCM unless it is asked for', async () => {
    const seen: string[] = [];
    const onProgress = ({ what }: BenchProgress) => seen.push(what);
    const options = { ...LCM, seeds: [5], subjects: PROMPTS, methods: [method('Δ')] };
    const { reference, methods } = await benchQuality(painter, { ...options, onProgress });
    expect(reference).toBeNull();
    expect(methods.map(({ toReference }) => toReference)).toEqual([null, null]);
    expect(methods[1]!.pictures[0]).toMatchObject({ toReference: null, toUncached: { psnr: expect.any(Number) } });
    expect(seen.filter((what) => what === 'warm-up, pictures 1–1')).toHaveLength(4); // else the uncached row alone would pay for it
    const judged = await benchQuality(painter, { ...options, referenceSteps: 6 });
    expect(judged.reference).toMatchObject({ numInferenceSteps: 6 });
    expect(judged.methods[0]!.toReference!.psnr.mean).toBeGreaterThan(0);
  });

  it('refuses a reference of more steps than an LCM takes, before anything is encoded', async () => {
    const calls = spyOnEncoder();
    const work = () => benchQuality(painter, { ...LCM, seeds: [5], subjects: PROMPTS, referenceSteps: 250 });
    await expectCleanFailure(work, OptionError, /^numInferenceSteps: expected a whole number from 1 to 50, got 250/);
    expect(calls()).toEqual([]);
  });

  it('encodes once for all methods and batches, and leaks nothing', async () => {
    const options = { ...LCM, seeds: [1, 2, 3], subjects: PROMPTS, methods: [method('Δ')], guidanceScale: 2 };
    await pipe.keepPrompts();
    const calls = spyOnEncoder();
    await benchQuality(painter, options);
    expect(calls()).toEqual([[...PROMPTS, 'blue']]);
    await expectNoLeak(() => benchQuality(painter, options));
  });
});

describe('analyseDeltas of prompts', () => {
  const pictures = PROMPTS.map((subject, seed) => ({ subject, seed }));

  it('measures both guidance halves of each', async () => {
    const calls = spyOnEncoder();
    await pipe.keepPrompts();
    const options = { pictures, numInferenceSteps: 3, guidanceScale: 2, batchSize: 1 };
    const analysis = await analyseDeltas(painter, options);
    expect(calls()).toEqual([[...PROMPTS, 'blue']]);
    expect(analysis).toMatchObject({
      ...{ subjects: PROMPTS, subjectKind: 'prompt', seeds: [0, 1], rows: 4, width: 32, height: 16 },
    });
    expect(analysis.blocks).toHaveLength(3);
    for (const { mean } of analysis.blocks) for (const norm of mean.norm) expect(norm).toBeGreaterThan(0);
    await expectNoLeak(() => analyseDeltas(painter, options));
  });
});
