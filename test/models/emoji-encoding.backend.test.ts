import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { openAutoencoder } from '../../converters/open-autoencoder.ts';
import { parseManifest } from '../../src/checkpoint/manifest.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { fromPixels, type PixelImage, toPixels } from '../../src/pipelines/image.ts';
import { torchNoise } from '../../src/pipelines/noise.ts';
import { relativeL2 } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';

/**
 * The shipped autoencoder against diffusers on a real picture, on the same float16-rounded weights.
 * Made by: python test/fixtures/make_emoji_encoding.py
 */
const FOLDER = 'checkpoints/dit-emoji';
let fixture: Fixture;
let vae: AutoencoderKL;
let picture: PixelImage;

beforeAll(async () => {
  fixture = await readFixture('emoji-encoding.safetensors');
  picture = fixture.picture('pixels');
  const opened = await openAutoencoder({ vae: FOLDER });
  vae = await AutoencoderKL.fromCheckpoint(opened, { encoder: true });
  await opened.archive.close();
});
afterAll(() => vae.dispose());

it('was made from the checkpoint that is shipped', () => {
  const manifest = parseManifest('manifest', readFileSync(`${FOLDER}/manifest.json`, 'utf8'));
  const shipped = Object.fromEntries(manifest.vae.files.map(({ name, sha256 }) => [name, sha256]));
  expect(JSON.parse(fixture.metadata.get('checkpoint_sha256') ?? '')).toEqual(shipped);
});

it('encodes to the moments and the drawn latents of diffusers', async () => {
  const { mean, logvar } = vae.moments(fromPixels(picture));
  expect(await relativeL2(mean, fixture.nhwc('mean'))).toBeLessThan(1e-4);
  expect(await relativeL2(logvar, fixture.nhwc('logvar'))).toBeLessThan(1e-4);
  const noise = torchNoise(Number(fixture.metadata.get('seed')), 1)(mean.shape);
  expect(await relativeL2(vae.latents({ mean, logvar }, noise), fixture.nhwc('sample'))).toBeLessThan(1e-4);
});

it('gives the picture back as well as diffusers does', async () => {
  const image = tf.tidy(() => tf.squeeze(vae.decode(vae.encode(fromPixels(picture))), [0]) as tf.Tensor3D);
  const decoded = await toPixels(image, 'diffusers');
  const expected = Number(fixture.metadata.get('psnr'));
  expect(expected).toBeGreaterThan(25);
  expect(Math.abs(psnr(picture, decoded) - expected)).toBeLessThan(0.02);
});
