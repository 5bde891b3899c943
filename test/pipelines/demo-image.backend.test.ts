import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { openDiT } from '../../converters/open-dit.ts';
import { parseManifest } from '../../src/checkpoint/manifest.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { torchNoise } from '../../src/pipelines/noise.ts';
import { relativeL2 } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';

/**
 * The shipped model against diffusers on the same float16-rounded weights, from the seed to the picture.
 * Made by: python test/fixtures/make_demo_image.py
 */
const FOLDER = 'checkpoints/dit-emoji';
let fixture: Fixture;
let pipe: DiTPipeline;

beforeAll(async () => {
  fixture = await readFixture('demo-image.safetensors');
  const checkpoint = await openDiT(FOLDER);
  pipe = await DiTPipeline.fromCheckpoint(checkpoint);
  await checkpoint.close();
});
afterAll(() => pipe.dispose());

/** Peak signal-to-noise ratio of pictures in [0,1]. */
async function psnr(got: tf.Tensor, expected: tf.Tensor): Promise<number> {
  const unit = (image: tf.Tensor) => tf.clipByValue(tf.add(tf.div(image, 2), 0.5), 0, 1);
  const [mse = 0] = await tf.tidy(() => tf.mean(tf.squaredDifference(unit(got), unit(expected)))).data();
  return -10 * Math.log10(mse);
}

it('was made from the checkpoint that is shipped', () => {
  const { transformer, vae } = parseManifest('manifest', readFileSync(`${FOLDER}/manifest.json`, 'utf8'));
  const shipped = Object.fromEntries([...transformer.files, ...vae.files].map(({ name, sha256 }) => [name, sha256]));
  expect(JSON.parse(fixture.metadata.get('checkpoint_sha256') ?? '')).toEqual(shipped);
});

it('starts from PyTorch’s noise', async () => {
  const { inputSize, inChannels } = pipe.transformer.config;
  const noise = torchNoise(Number(fixture.metadata.get('seed')), 1)([1, inputSize, inputSize, inChannels]);
  expect(await relativeL2(noise, fixture.nhwc('noise'))).toBeLessThan(1e-6);
});

it('draws PyTorch’s picture to 60 dB and better', async () => {
  const { images, report } = await pipe.generateFloats({
    classLabels: [fixture.metadata.get('label') ?? ''],
    seed: Number(fixture.metadata.get('seed')),
    numInferenceSteps: Number(fixture.metadata.get('steps')),
    guidanceScale: Number(fixture.metadata.get('scale')),
  });
  const [image] = images;
  const expected = tf.squeeze(fixture.nhwc('decoded'), [0]);
  expect(report.timesteps).toHaveLength(20);
  expect(await psnr(image as tf.Tensor, expected)).toBeGreaterThanOrEqual(60);
  tf.dispose([...images]);
});
