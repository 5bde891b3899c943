import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openPixArt } from '../../converters/open-pixart.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { AbortError, CheckpointError, OptionError, ShapeError } from '../../src/errors.ts';
import { type PixArtGenerateOptions, PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { expectBitEqual, psnrOf } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { PIXART } from '../support/tiny-pixart.ts';

const MINIMUM_PSNR = 60; // dB, of floats before 8 bits
const PROMPTS = ['A  Red apple', 'an icon of a cat'];
const RUN = { prompt: PROMPTS, seed: 7, numInferenceSteps: 5, guidanceScale: 3 };

async function load(change: Partial<Awaited<ReturnType<typeof openPixArt>>> = {}): Promise<PixArtPipeline> {
  const checkpoint = await openPixArt(join(PIXART, 'tiny-diffusers'));
  try {
    return await PixArtPipeline.fromCheckpoint({ ...checkpoint, ...change });
  } finally {
    await checkpoint.close();
  }
}

let fixture: Fixture;
let pipe: PixArtPipeline;
beforeAll(async () => {
  fixture = await readFixture('../pixart/pipeline.safetensors');
  pipe = await load();
});
afterAll(() => pipe.dispose());

async function floatsOf(options: PixArtGenerateOptions): Promise<tf.Tensor4D> {
  const { images } = await pipe.generateFloats(options);
  const stacked = tf.stack([...images]) as tf.Tensor4D;
  tf.dispose([...images]);
  return stacked;
}

describe('from a prompt to a picture as diffusers does', () => {
  const runs: [string, Partial<PixArtGenerateOptions>][] = [
    ['plain', {}],
    ['negative', { negativePrompt: 'a green tree' }],
    ['unguided', { guidanceScale: 1 }],
    ['wide', { prompt: PROMPTS[0], width: 64, height: 32 }],
    ['lcm', { sampler: 'lcm', numInferenceSteps: 4, guidanceScale: 0 }],
  ];
  it.each(runs)('%s', async (name, options) => {
    const [got, want] = [await floatsOf({ ...RUN, ...options }), fixture.nhwc(name)];
    expect(got.shape).toEqual(want.shape);
    expect(psnrOf(await got.data(), await want.data())).toBeGreaterThan(MINIMUM_PSNR);
    tf.dispose([got, want]);
  });
});

it('paints a size between bins as diffusers does: at the nearest bin, then resized and cropped', async () => {
  const checkpoint = await openPixArt(join(PIXART, 'tiny-diffusers'));
  const { transformer } = checkpoint;
  const of256 = await load({ transformer: { ...transformer, config: { ...transformer.config, inputSize: 32 } } });
  try {
    const size = { width: 60, height: 40 };
    const options = { ...RUN, ...size, prompt: PROMPTS[0], numInferenceSteps: 2 };
    const { images, report } = await of256.generateFloats(options);
    expect(report).toMatchObject({ ...size, paintedWidth: 304, paintedHeight: 208 });
    const [got] = images as [tf.Tensor3D];
    const clamped = tf.clipByValue(got, -1, 1);
    const want = fixture.nhwc('between bins');
    expect(got.shape).toEqual(want.shape.slice(1));
    expect(psnrOf(await clamped.data(), await want.data())).toBeGreaterThan(MINIMUM_PSNR);
    tf.dispose([got, clamped, want]);
  } finally {
    of256.dispose();
    await checkpoint.close();
  }
});

describe('PixArtPipeline.generate', () => {
  it('tells what it did, and leaks nothing', async () => {
    const { images, report } = await expectNoLeak(() => pipe.generate({ ...RUN, negativePrompt: 'Blue' }));
    expect(images.map(({ width, height }) => [width, height])).toEqual([
      [32, 32],
      [32, 32],
    ]);
    expect(report).toMatchObject({
      sampler: 'dpm-solver++',
      prompts: ['a red apple', 'an icon of a cat'],
      negativePrompts: ['blue', 'blue'],
      truncated: [null, null],
      seeds: [7],
      ...{ width: 32, height: 32, paintedWidth: 32, paintedHeight: 32 },
      cache: null,
      warnings: [],
    });
  });

  it('takes encoded prompts in the place of prompts, bit for bit', async () => {
    const embeds = await pipe.encodePrompts(PROMPTS);
    const negative = await pipe.encodePrompts(['', '']);
    const { prompt: _, ...rest } = RUN;
    const given = { ...rest, promptEmbeds: embeds, negativePromptEmbeds: negative };
    const [got, want] = [await floatsOf(given), await floatsOf(RUN)];
    await expectBitEqual(got, want);
    tf.dispose([got, want, embeds.embeds, embeds.mask, negative.embeds, negative.mask]);
  });

  it('with nothing cached is the plain model, and with a cache is not', async () => {
    const plain = await floatsOf(RUN);
    const none = await floatsOf({ ...RUN, cache: deltaDiT({ cachedBlocks: 0 }) });
    await expectBitEqual(none, plain);
    const cached = await floatsOf({ ...RUN, cache: deltaDiT({ cachedBlocks: 2, stageBound: 2 }) });
    expect(psnrOf(await cached.data(), await plain.data())).toBeLessThan(100);
    tf.dispose([plain, none, cached]);
  });

  it('gives a picture the same whatever stands beside it', async () => {
    const [both, alone] = [
      await floatsOf({ ...RUN, seed: [3, 4] }),
      await floatsOf({ ...RUN, prompt: PROMPTS[1], seed: 4 }),
    ];
    const second = tf.slice(both, [1, 0, 0, 0], [1, -1, -1, -1]);
    expect(psnrOf(await second.data(), await alone.data())).toBeGreaterThan(90);
    tf.dispose([both, alone, second]);
  });

  it('tells which end of a prompt was not read', async () => {
    const { report } = await pipe.generate({ ...RUN, prompt: 'a red apple '.repeat(60), numInferenceSteps: 1 });
    expect(report.truncated[0]).toMatch(/apple$/);
  });

  it('stops, and frees everything', async () => {
    const stop = new AbortController();
    const onStep = () => stop.abort();
    await expectCleanFailure(() => pipe.generate({ ...RUN, onStep, signal: stop.signal }), AbortError, /stopped/);
  });
});

describe('PixArtPipeline refuses', () => {
  const wrong: [string, PixArtGenerateOptions, RegExp][] = [
    ['an empty prompt', { prompt: ['a', ' '] }, /prompt 2: is empty/],
    ['a prompt that cleaning empties', { prompt: 'https://example.com/' }, /prompt: has nothing left after cleaning/],
    ['no prompt', {}, /prompt and promptEmbeds: expected one of the two, got none/],
    ['a prompt of a book’s length', { prompt: 'x'.repeat(20_000) }, /10000|10,000/],
    ['two negative prompts for three', { prompt: ['a', 'b', 'c'], negativePrompt: ['d', 'e'] }, /expected one or 3/],
    ['half a patch', { prompt: 'a', width: 36 }, /multiples of 8 pixels, got 36 × 32/],
    ['a size that is none', { prompt: 'a', width: 0 }, /width: expected a whole number/],
    ['bins where there are none', { prompt: 'a', useResolutionBinning: true }, /there are no bins for a latent of 8/],
    ['cache options that do not fit', { prompt: 'a', cache: deltaDiT({ cachedBlocks: 9 }) }, /9/],
  ];
  it.each(wrong)('%s', async (_, options, text) => {
    await expectCleanFailure(() => pipe.generate({ ...options, numInferenceSteps: 2 }), OptionError, text);
  });

  it('encoded prompts of another width', async () => {
    const promptEmbeds = { embeds: tf.zeros<tf.Rank.R3>([1, 4, 9]), mask: tf.ones<tf.Rank.R2>([1, 4]), prompts: ['a'] };
    const run = () => pipe.generate({ promptEmbeds, guidanceScale: 1, numInferenceSteps: 1 });
    await expectCleanFailure(run, ShapeError, /PixArt caption/);
    tf.dispose([promptEmbeds.embeds, promptEmbeds.mask]);
  });

  it('negative prompts that were encoded to another length', async () => {
    const negative = tf.ones<tf.Rank.R3>([1, 4, 16]);
    const negativePromptEmbeds = { embeds: negative, mask: tf.ones<tf.Rank.R2>([1, 4]), prompts: ['b'] };
    const run = () => pipe.generate({ prompt: 'a', negativePromptEmbeds, guidanceScale: 2, numInferenceSteps: 1 });
    await expectCleanFailure(run, ShapeError, /prompt embeds/);
    tf.dispose([negative, negativePromptEmbeds.mask]);
  });

  it('prompts, where there is no text encoder', async () => {
    const bare = await load({ openTextEncoder: undefined });
    await expectCleanFailure(() => bare.generate(RUN), CheckpointError, /no text encoder or no tokenizer; give both/);
    bare.dispose();
  });
});

describe('PixArtPipeline.describe', () => {
  it('is what the run reports, before it encodes anything', async () => {
    const options = { ...RUN, negativePrompt: 'Blue', cache: deltaDiT(), width: 64 };
    const described = await expectNoLeak(() => pipe.describe(options));
    const { report } = await pipe.generate(options);
    expect(report).toMatchObject(described);
  });

  it('refuses what generate refuses', async () => {
    await expect(pipe.describe({ ...RUN, prompt: ' ' })).rejects.toThrow(OptionError);
    await expect(pipe.describe({ ...RUN, width: 31 })).rejects.toThrow(OptionError);
  });
});

describe('prompts that are kept', () => {
  it('are not encoded again, and give the same picture', async () => {
    const kept = await load();
    try {
      const want = await floatsOf(RUN);
      const encoded = await kept.encodePrompts([...PROMPTS, '']);
      await kept.keepPrompts(encoded);
      tf.dispose([encoded.embeds, encoded.mask]);
      let layers = 0;
      const { images } = await expectNoLeak(async () => {
        const made = await kept.generateFloats({ ...RUN, onLayer: () => void layers++ });
        const got = tf.stack([...made.images]);
        await expectBitEqual(got, want);
        tf.dispose([got, ...made.images]);
        return made;
      });
      expect([images.length, layers]).toEqual([2, 0]);
      await kept.generate({ ...RUN, prompt: 'something new', onLayer: () => void layers++ });
      expect(layers).toBeGreaterThan(0);
      want.dispose();
    } finally {
      kept.dispose();
    }
  });

  it('serve a checkpoint without a text encoder, which says what is missing', async () => {
    const bare = await load({ openTextEncoder: undefined });
    try {
      await expect(bare.generate(RUN)).rejects.toThrow(CheckpointError);
      const encoded = await pipe.encodePrompts([...PROMPTS, '']);
      await bare.keepPrompts(encoded);
      tf.dispose([encoded.embeds, encoded.mask]);
      const [want, got] = [await pipe.generate(RUN), await bare.generate(RUN)];
      expect(got.images).toEqual(want.images);
      expect((await bare.describe(RUN)).prompts).toEqual(want.report.prompts);
    } finally {
      bare.dispose();
    }
  });
});
