import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classDenoiser, type Denoiser } from '../../src/pipelines/guidance.ts';
import { sample } from '../../src/pipelines/sample.ts';
import { DDIMSampler } from '../../src/schedulers/ddim.ts';
import { psnrOf, relativeL2, relativeL2Of } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';
import { noNoise } from '../support/noise.ts';
import { readSamplerReference } from '../support/sampler-reference.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

const PER_STEP = 1e-4;
const MINIMUM_PSNR = 60; // dB, of floats before 8 bits
const [SEED, STEPS, CLASSES] = [7, 5, [1, 4]] as const;

let fixture: Fixture;
beforeAll(async () => {
  fixture = await readFixture('pipeline.safetensors');
  const said = ['seed', 'steps', 'classes'].map((name) => JSON.parse(fixture.metadata.get(name)!));
  expect(said).toEqual([SEED, STEPS, CLASSES]);
});

describe.each([
  ['original', 'guided', 4],
  ['diffusers', 'guided', 4],
  ['diffusers', 'unguided', 1],
] as const)('from a seed to a picture as PyTorch does: %s, %s', (numerics, name, guidanceScale) => {
  const key = (part: string) => `${numerics}.${name}.${part}`;
  let pipe: DiTPipeline;
  beforeAll(async () => {
    pipe = await loadTinyPipeline(numerics);
  });
  afterAll(() => pipe.dispose());

  it('the guided noise and the latents of each step', async () => {
    const [epsilon, latents]: tf.Tensor4D[][] = [[], []];
    const guided = classDenoiser(pipe.transformer, CLASSES, {
      guidanceScale,
      guidedChannels: numerics === 'original' ? 3 : 4,
    });
    const denoise: Denoiser = async (x, t, run) => {
      const output = await guided(x, t, run);
      epsilon!.push(output.eps.clone());
      return output;
    };
    const cache = new CachedBlocks(pipe.plan({ numInferenceSteps: STEPS })!);
    const onStep = ({ latents: x }: { latents: tf.Tensor4D }) => void latents!.push(x.clone());
    await sample({
      noise: fixture.nhwc('noise'),
      sampler: new DDIMSampler(STEPS),
      stepNoise: noNoise,
      denoise,
      cache,
      onStep,
    });
    const [wantEpsilon, wantLatents] = [fixture.nhwcSteps(key('epsilon')), fixture.nhwcSteps(key('latents'))];
    for (let step = 0; step < STEPS; step++) {
      expect(await relativeL2(epsilon![step]!, wantEpsilon[step]!)).toBeLessThan(PER_STEP);
      expect(await relativeL2(latents![step]!, wantLatents[step]!)).toBeLessThan(PER_STEP);
    }
  });

  it('the decoded floats, from the noise of the fixture and from the seed', async () => {
    const want = fixture.nhwc(key('decoded'));
    for (const start of [{ latents: fixture.nhwc('noise') }, { seed: SEED }]) {
      const { images } = await pipe.generateFloats({
        classLabels: CLASSES,
        numInferenceSteps: STEPS,
        guidanceScale,
        ...start,
      });
      const got = tf.stack([...images]);
      expect(got.shape).toEqual(want.shape);
      expect(psnrOf(await got.data(), await want.data())).toBeGreaterThan(MINIMUM_PSNR);
    }
  });

  it('the bytes of the pictures', async () => {
    const { images } = await pipe.generate({
      classLabels: CLASSES,
      numInferenceSteps: STEPS,
      guidanceScale,
      seed: SEED,
    });
    const rgb = images.flatMap(({ data }) => Array.from(data).filter((_, i) => i % 4 !== 3));
    expect(rgb).toEqual(fixture.numbers(key('bytes')));
    expect(images.every(({ data }) => data.every((value, i) => i % 4 !== 3 || value === 255))).toBe(true);
  });
});

describe("the original demo's loop, respaced DDPM with learned variances", () => {
  const { seed, steps, classes, ...runs } = readSamplerReference().tiny;
  let pipe: DiTPipeline;
  beforeAll(async () => {
    pipe = await loadTinyPipeline('original');
  });
  afterAll(() => pipe.dispose());

  it.each([
    ['guided', 4],
    ['unguided', 1],
  ] as const)('from a seed, %s', async (name, guidanceScale) => {
    const latents: Float32Array[] = [];
    await pipe.generate({
      classLabels: classes,
      sampler: 'ddpm-original',
      numInferenceSteps: steps,
      guidanceScale,
      seed,
      onStep: async ({ latents: x }) => void latents.push((await x.data()) as Float32Array),
    });
    expect(relativeL2Of(latents[0]!, runs[name][0])).toBeLessThan(PER_STEP);
    expect(relativeL2Of(latents.at(-1)!, runs[name][1])).toBeLessThan(PER_STEP);
  });

  it('the guided one with a seed for each picture: each as it would alone, the noise of its other half its own', async () => {
    const run = async (classLabels: readonly number[], seeds: readonly number[]) =>
      (await pipe.generateFloats({ classLabels, sampler: 'ddpm-original', numInferenceSteps: steps, seed: seeds }))
        .images;
    const together = await run(classes, [3, 9]);
    const [alone] = await run(classes.slice(1), [9]);
    expect(await relativeL2(together[1]!, alone!)).toBeLessThan(PER_STEP);
    tf.dispose([...together, alone!]);
  });
});
