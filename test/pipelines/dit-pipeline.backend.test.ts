import * as tf from '@tensorflow/tfjs-core';
import { countBlocks } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { featureCache } from '../../src/cache/policies/span-cache.ts';
import type { StaticPolicy } from '../../src/cache/policy.ts';
import { AbortError, CheckpointError, NumericsError, OptionError, ShapeError } from '../../src/errors.ts';
import { DiTPipeline as PublicPipeline } from '../../src/index.ts';
import { runAllBlocks } from '../../src/models/block.ts';
import { type DiTGenerateOptions, DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { bytesOf, replaceTensor } from '../support/random-weights.ts';
import { loadTinyPipeline, withTinyCheckpoint } from '../support/tiny-dit.ts';

const QUICK = { classLabels: [1, 4], numInferenceSteps: 4, seed: 7 } as const;
const TOKEN_BYTES = 4 * 16 * 48 * 4; // [2N,T,D] float32 for two pictures under guidance

let pipe: DiTPipeline;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
});
afterAll(() => pipe.dispose());

const pixels = async (options: Partial<DiTGenerateOptions>) =>
  (await pipe.generate({ ...QUICK, ...options })).images.map(({ data }) => Array.from(data));

describe('DiTPipeline.generate', () => {
  it('makes one picture for each class, by number or by name, and the same again for a seed', async () => {
    const { images } = await pipe.generate(QUICK);
    expect(images.map(({ width, height }) => [width, height])).toEqual([
      [16, 16],
      [16, 16],
    ]);
    expect(images[0]!.data).not.toEqual(images[1]!.data);
    const again = images.map(({ data }) => Array.from(data));
    expect(await pixels({})).toEqual(again);
    expect(await pixels({ classLabels: ['star', 'tree'] })).toEqual(again);
    expect(await pixels({ seed: 8 })).not.toEqual(again);
  });

  it('with a seed for each picture makes each as it would alone', async () => {
    const [first, second] = await pixels({ seed: [3, 9] });
    const [alone] = await pixels({ classLabels: [4], seed: 9 });
    const difference = second!.map((value, i) => Math.abs(value - alone![i]!));
    expect(Math.max(...difference)).toBeLessThanOrEqual(1); // a batch of another size may round otherwise
    expect(first).not.toEqual(second);
  });

  it('reports what it did', async () => {
    const cache = deltaDiT({ cachedBlocks: 2, stageBound: 2 });
    const { report } = await pipe.generate({ ...QUICK, cache, guidanceScale: 3 });
    const { computed, reused } = countBlocks(report.plan!);
    expect([computed, reused]).toEqual([8, 4]);
    expect(report).toMatchObject({
      backend: globalThis.DELTA_DIT_BACKEND,
      numerics: 'original',
      sampler: 'ddim',
      eta: 0,
      warnings: [],
      timesteps: [750, 500, 250, 0],
      guidanceScale: 3,
      seeds: [7],
      classLabels: [1, 4],
      cache: 'delta-dit',
      blocksComputed: computed,
      blocksReused: reused,
      peakCachedBytes: TOKEN_BYTES,
    });
    expect(report.model).toMatch(/dit-tiny-diffusers$/);
    expect(report.macs!.macsRatio).toBe(1.5);
    expect(report.stepSeconds).toHaveLength(4);
    expect(report.samplingSeconds).toBeCloseTo(
      report.stepSeconds.reduce((sum, s) => sum + s, 0),
      9,
    );
  });

  it('draws a seed where none is given, and reports it', async () => {
    const { report, images } = await pipe.generate({ classLabels: [0], numInferenceSteps: 1 });
    expect(report.seeds).toHaveLength(1);
    const again = await pipe.generate({ classLabels: [0], numInferenceSteps: 1, seed: report.seeds[0]! });
    expect(again.images[0]!.data).toEqual(images[0]!.data);
  });

  it('caching nothing gives the uncached pictures, and a method of the caller that computes all does, too', async () => {
    const plain = await pixels({});
    expect(await pixels({ cache: deltaDiT({ interval: 1 }) })).toEqual(plain);
    expect(await pixels({ cache: deltaDiT({ cachedBlocks: 0 }) })).toEqual(plain);
    expect(await pixels({ runBlocks: () => runAllBlocks })).toEqual(plain);
    expect(await pixels({ cache: deltaDiT({ cachedBlocks: 2 }) })).not.toEqual(plain);
  });

  it('claims no plan and no cost for a runner of the caller', async () => {
    const { report } = await pipe.generate({ ...QUICK, runBlocks: () => runAllBlocks });
    expect(report).toMatchObject({ plan: null, macs: null, cache: null });
  });

  it("takes the checkpoint's defaults, else those of diffusers", async () => {
    expect(pipe.defaults).toEqual({ numInferenceSteps: 50, guidanceScale: 4 });
    await withTinyCheckpoint(async (checkpoint) => {
      const other = await DiTPipeline.fromCheckpoint({ ...checkpoint, defaults: { numInferenceSteps: 3 } });
      expect(other.numerics).toBe('diffusers');
      const { report } = await other.generate({ classLabels: [0] });
      expect([report.timesteps.length, report.guidanceScale]).toEqual([3, 4]);
      other.dispose();
    });
  });
});

it('is an instance of the class that the library shows', () => {
  expect(pipe).toBeInstanceOf(PublicPipeline);
});

describe('DiTPipeline.describe', () => {
  const cache = deltaDiT({ cachedBlocks: 2 });

  it('is what the report says, without a run', async () => {
    for (const options of [
      QUICK,
      { ...QUICK, cache, sampler: 'ddpm' },
      { ...QUICK, eta: 0.5, guidanceScale: 1 },
    ] as const) {
      const { report } = await pipe.generate(options);
      const description = await expectNoLeak(() => pipe.describe(options));
      expect(report).toMatchObject(description);
      expect(Object.keys(description)).toEqual(
        expect.arrayContaining(['timesteps', 'guidanceScale', 'macs', 'warnings']),
      );
    }
    expect(pipe.describe({ ...QUICK, cache, sampler: 'ddpm' }).warnings).toEqual([expect.stringMatching(/^cache /)]);
  });

  it('refuses what generate refuses', () => {
    expect(() => pipe.describe({ ...QUICK, classLabels: ['moon'] })).toThrow(OptionError);
    expect(() => pipe.describe({ ...QUICK, cache: deltaDiT({ cachedBlocks: 4 }) })).toThrow(/^cachedBlocks: /);
  });
});

describe('DiTPipeline leaks nothing', () => {
  it('loading and disposing, before the first forward', async () => {
    await expectNoLeak(async () => {
      const other = await loadTinyPipeline('diffusers');
      other.dispose();
      other.dispose();
    });
  });

  const caches: [string, StaticPolicy | undefined][] = [
    ['no cache', undefined],
    ['Δ-DiT', deltaDiT({ cachedBlocks: 2, stageBound: 2 })],
    ['the feature cache', featureCache({ region: 'front' })],
  ];
  it.each(caches)('generate with %s, guided and unguided', async (_, cache) => {
    for (const guidanceScale of [1, 4]) {
      await expectNoLeak(async () => {
        await pipe.generate({ ...QUICK, cache, guidanceScale, sampler: 'dpm-solver++' });
        await pipe.generate({ ...QUICK, cache, guidanceScale, sampler: 'ddpm-original' });
        await pipe.generate({ ...QUICK, cache, guidanceScale, onStep: async () => {}, onBlockDelta: async () => {} });
      });
    }
  });

  it('generateFloats gives one tensor a picture, and leaves latents that it was given', async () => {
    await expectNoLeak(async () => {
      const latents = tf.zeros([2, 8, 8, 4]) as tf.Tensor4D;
      const before = tf.memory().numTensors;
      const { images } = await pipe.generateFloats({ ...QUICK, latents });
      expect(tf.memory().numTensors).toBe(before + 2);
      expect(latents.isDisposed).toBe(false);
      tf.dispose([latents, ...images]);
    });
  });

  it('preview, the first and the next', async () => {
    const latents = tf.ones([2, 8, 8, 4]) as tf.Tensor4D;
    for (const _ of [1, 2]) await expectNoLeak(() => pipe.preview(latents));
    latents.dispose();
  });

  it('a listener that fails, and an abort in mid-run', async () => {
    const cache = deltaDiT({ cachedBlocks: 2, stageBound: 2 });
    const fail = () => {
      throw new Error('failed on purpose');
    };
    await expectCleanFailure(() => pipe.generate({ ...QUICK, cache, onStep: fail }), Error, /failed on purpose/);
    await expectCleanFailure(() => pipe.generate({ ...QUICK, cache, onBlockDelta: fail }), Error, /failed on purpose/);
    // a multistep sampler holds a tensor now
    const held = { ...QUICK, sampler: 'dpm-solver++', onStep: fail } as const;
    await expectCleanFailure(() => pipe.generate(held), Error, /failed on purpose/);
    const controller = new AbortController();
    const abort = () => controller.abort();
    await expectCleanFailure(
      () => pipe.generate({ ...QUICK, cache, signal: controller.signal, onStep: abort }),
      AbortError,
      /stopped before step 2 of 4/,
    );
  });

  it('weights that are not numbers', async () => {
    const name = 'blocks.1.attn.qkv.bias';
    await withTinyCheckpoint(async (checkpoint) => {
      const archive = replaceTensor(checkpoint.transformer.archive, name, {
        dtype: 'F32',
        read: async () => bytesOf(new Float32Array(3 * 48).fill(Number.NaN)),
      });
      const spoilt = { ...checkpoint, transformer: { ...checkpoint.transformer, archive } };
      await expectCleanFailure(
        async () => {
          const broken = await DiTPipeline.fromCheckpoint(spoilt);
          await broken.generate(QUICK).finally(() => broken.dispose());
        },
        NumericsError,
        /stopped being finite at step 1 \(timestep 750\)/,
      );
    });
  });

  it('an autoencoder that does not load', async () => {
    await withTinyCheckpoint(async (checkpoint) => {
      const config = { ...checkpoint.vae.config, layersPerBlock: 2 };
      const load = () => DiTPipeline.fromCheckpoint({ ...checkpoint, vae: { ...checkpoint.vae, config } });
      await expectCleanFailure(load, CheckpointError, /missing: decoder\.up_blocks\.0\.resnets\.2/);
    });
  });
});

describe('DiTPipeline refuses, and leaks nothing', () => {
  const refused: [string, Partial<DiTGenerateOptions>, RegExp][] = [
    ['no class', { classLabels: [] }, /^classLabels: expected at least one class/],
    ['an unknown class', { classLabels: ['moon'] }, /one of: heart, red heart · star · .*; got "moon"/],
    ['a class out of range', { classLabels: [7] }, /^class: expected a number from 0 to 6/],
    ['no step', { numInferenceSteps: 0 }, /^numInferenceSteps: expected a whole number from 1 to 1000, got 0/],
    ['too many steps', { numInferenceSteps: 1001 }, /^numInferenceSteps: .* got 1001/],
    ['half a step', { numInferenceSteps: 2.5 }, /^numInferenceSteps: .* got 2.5/],
    ['a guidance scale that is no number', { guidanceScale: Number.NaN }, /^guidanceScale: expected a number, got NaN/],
    ['an unknown sampler', { sampler: 'euler' as 'ddim' }, /^sampler: expected ddim, ddpm, .*; got "euler"/],
    ['η above 1', { eta: 1.5 }, /^eta: expected a number from 0 to 1, got 1.5/],
    ['η for a sampler without it', { sampler: 'ddpm', eta: 0.5 }, /^eta: only ddim and ddim-original take it/],
    ['a budget nobody can meet', { cache: deltaDiT({ budget: 0.2 }) }, /^budget: 4 steps cannot cost less than 0.25/],
    ['a negative seed', { seed: -1 }, /^seed: /],
    ['seeds of another number', { seed: [1, 2, 3] }, /^seed: expected one number or 2, one a picture, got 3/],
    ['more cached blocks than blocks', { cache: deltaDiT({ cachedBlocks: 4 }) }, /^cachedBlocks: .* from 0 to 3/],
    ['a stage bound past the end', { cache: deltaDiT({ stageBound: 5 }) }, /^stageBound: .* from 0 to 4/],
    ['two cache methods', { cache: deltaDiT(), runBlocks: () => runAllBlocks }, /expected one of the two, got both/],
  ];
  it.each(refused)('%s', async (_, options, text) => {
    const onStep = () => {
      throw new Error('a step was made');
    };
    await expectCleanFailure(() => pipe.generate({ ...QUICK, onStep, ...options }), OptionError, text);
  });

  it('latents of another shape', async () => {
    const latents = tf.zeros([1, 8, 8, 4]) as tf.Tensor4D;
    await expectCleanFailure(
      () => pipe.generate({ ...QUICK, latents }),
      ShapeError,
      /^latents: expected \[2, 8, 8, 4\]/,
    );
  });
});

describe('DiTPipeline.plan', () => {
  it('is the plan that a run follows', async () => {
    const cache = deltaDiT({ cachedBlocks: 1 });
    const { report } = await pipe.generate({ ...QUICK, cache });
    expect(pipe.plan({ numInferenceSteps: 4, cache })).toEqual(report.plan);
    expect(pipe.plan({})!.steps).toHaveLength(50);
  });
});
