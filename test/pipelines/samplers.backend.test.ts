import * as tf from '@tensorflow/tfjs-core';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { easyCache } from '../../src/cache/policies/easy-cache.ts';
import { teaCache } from '../../src/cache/policies/tea-cache.ts';
import type { CachePolicy } from '../../src/cache/policy.ts';
import { OptionError } from '../../src/errors.ts';
import { type DiTGenerateOptions, DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import type { StepEvent } from '../../src/pipelines/sample.ts';
import { SAMPLER_NAMES } from '../../src/schedulers/samplers.ts';
import { relativeL2 } from '../support/compare.ts';
import { expectCleanFailure } from '../support/memory.ts';
import { loadTinyPipeline, withTinyCheckpoint } from '../support/tiny-dit.ts';

const QUICK = { classLabels: [1, 4], numInferenceSteps: 4, seed: 7 } as const;

let pipe: DiTPipeline;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
});
afterAll(() => pipe.dispose());

describe('DiTPipeline.generate with a sampler', () => {
  it.each([
    ['ddim', 1, [750, 500, 250, 0]],
    ['ddpm', 0, [750, 500, 250, 0]],
    ['dpm-solver++', 0, [800, 600, 400, 200]],
    ['unipc', 0, [800, 600, 400, 200]],
    ['deis', 0, [800, 600, 400, 200]],
    ['ddpm-original', 0, [999, 666, 333, 0]],
    ['ddim-original', 0.5, [750, 500, 250, 0]],
  ] as const)('samples by %s with η %d, the same for a seed', async (sampler, eta, timesteps) => {
    const options = { ...QUICK, sampler, eta };
    const { images, report } = await pipe.generate(options);
    expect(report).toMatchObject({ sampler, eta, timesteps, warnings: [] });
    expect((await pipe.generate(options)).images).toEqual(images);
    expect((await pipe.generate(QUICK)).images).not.toEqual(images);
  });

  it.each(SAMPLER_NAMES)('ends at the clean latents of the last step (%s)', async (sampler) => {
    const distances: number[] = [];
    const onStep = async ({ latents, xStart }: StepEvent) => {
      const clean = xStart();
      distances.push(await relativeL2(clean, latents));
      clean.dispose();
    };
    await pipe.generate({ ...QUICK, sampler, onStep });
    expect(distances).toHaveLength(4);
    expect(distances[0]).toBeGreaterThan(0.1);
    // DEIS ends at the noise of timestep 0, σ 0.01
    expect(distances[3]).toBeLessThan(sampler === 'deis' ? 0.1 : 1e-4);
  });

  it('visits timesteps that are given, under a cache, too', async () => {
    const timesteps = [999, 850, 500, 100];
    const { numInferenceSteps: _, ...given } = QUICK;
    for (const sampler of ['ddim', 'dpm-solver++', 'unipc', 'deis'] as const) {
      const cache = deltaDiT({ cachedBlocks: 2 });
      const options = { ...given, timesteps, sampler, cache };
      const seen: number[] = [];
      const { report } = await pipe.generate({ ...options, onStep: ({ timestep }) => void seen.push(timestep) });
      expect([report.timesteps, seen, report.plan?.steps.length]).toEqual([timesteps, timesteps, 4]);
      expect(pipe.plan(options)).toEqual(report.plan);
    }
    const both = { ...QUICK, timesteps };
    const message = 'numInferenceSteps and timesteps: expected one of the two, got both';
    await expectCleanFailure(() => pipe.generate(both), OptionError, new RegExp(message));
    expect(() => pipe.plan(both)).toThrow(message);
    expect(() => pipe.plan({ timesteps: [3, 4] })).toThrow(/^timesteps: .*got 4 after 3$/);
    const lcm = { ...given, timesteps, sampler: 'lcm' } as const;
    await expectCleanFailure(() => pipe.generate(lcm), OptionError, /^timesteps: only ddim, .* take them, not lcm/);
  });

  it('takes the steps’ noise from the seed where latents are given, and reports it', async () => {
    const latents = tf.ones([2, 8, 8, 4]) as tf.Tensor4D;
    const run = (options: Partial<DiTGenerateOptions>) => pipe.generate({ ...QUICK, latents, ...options });
    const [first, other] = [await run({ sampler: 'ddpm' }), await run({ sampler: 'ddpm', seed: 8 })];
    expect(first.images).not.toEqual(other.images);
    expect([first.report.seeds, (await run({})).report.seeds]).toEqual([[7], []]);
    latents.dispose();
  });

  it('warns of a cache under fresh noise, with the reason', async () => {
    const cache = deltaDiT({ cachedBlocks: 2 });
    const warnings = async (options: Partial<DiTGenerateOptions>) =>
      (await pipe.generate({ ...QUICK, ...options })).report.warnings;
    expect(await warnings({ cache, sampler: 'ddpm-original' })).toEqual([
      expect.stringMatching(
        /^cache delta-dit under ddpm-original: the fresh noise of each step is not in what was kept/,
      ),
    ]);
    expect(await warnings({ cache, eta: 0.5 })).toEqual([expect.stringContaining('under ddim with eta 0.5: ')]);
    for (const quiet of [{ cache }, { cache, sampler: 'dpm-solver++' }, { sampler: 'ddpm' }] as const) {
      expect(await warnings(quiet)).toEqual([]);
    }
    expect(await warnings({ cache: deltaDiT({ interval: 1 }), sampler: 'ddpm' })).toEqual([]);
  });

  it('warns of a method whose decisions all fall alike', async () => {
    const warnings = async (cache: CachePolicy, numInferenceSteps: number) =>
      (await pipe.generate({ ...QUICK, cache, numInferenceSteps })).report.warnings;
    expect(pipe.describe({ ...QUICK, cache: easyCache(), numInferenceSteps: 10 }).warnings).toEqual([
      expect.stringContaining('cache easycache: nothing is cached in 10 steps'),
    ]);
    expect(await warnings(teaCache({ threshold: 0 }), 5)).toEqual([expect.stringContaining('nothing was cached')]);
    expect(await warnings(teaCache({ threshold: 1e9 }), 5)).toEqual([expect.stringContaining('all 3 steps')]);
  });

  it("takes the sampler that the checkpoint's scheduler means, with its settings", async () => {
    await withTinyCheckpoint(async (checkpoint) => {
      const scheduler = { _class_name: 'DPMSolverMultistepScheduler', timestep_spacing: 'trailing' };
      const other = await DiTPipeline.fromCheckpoint({ ...checkpoint, scheduler });
      expect((await other.generate(QUICK)).report).toMatchObject({
        sampler: 'dpm-solver++',
        timesteps: [999, 749, 499, 249],
      });
      other.dispose();
    });
  });
});
