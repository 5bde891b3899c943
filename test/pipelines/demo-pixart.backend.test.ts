import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { openPixArt } from '../../converters/open-pixart.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { parseManifest } from '../../src/checkpoint/manifest.ts';
import { type PixArtGenerateOptions, PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { psnrOf } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';
import { reuseOf } from '../support/plans.ts';

/**
 * The text-to-image checkpoints against diffusers on the same float16-rounded weights, from the prompt and the seed to
 * the picture. Made by: python test/fixtures/make_pixart_demo.py
 */
const MODELS = ['pixart-emoji', 'pixart-emoji-lcm'] as const;
type Model = (typeof MODELS)[number];
const MINIMUM_PSNR = 60; // dB, of floats before 8 bits

let fixture: Fixture;
const pipes = new Map<Model, PixArtPipeline>();
const pipeOf = (model: Model) => pipes.get(model) as PixArtPipeline;

beforeAll(async () => {
  fixture = await readFixture('../pixart/demo.safetensors');
  for (const model of MODELS) {
    const checkpoint = await openPixArt(`checkpoints/${model}`);
    pipes.set(model, await PixArtPipeline.fromCheckpoint(checkpoint));
    await checkpoint.close();
  }
});
afterAll(() => {
  for (const pipe of pipes.values()) pipe.dispose();
});

it.each(MODELS)('%s is the checkpoint that the pictures are of', (model) => {
  const manifest = parseManifest('manifest', readFileSync(`checkpoints/${model}/manifest.json`, 'utf8'));
  if (manifest.pipeline !== 'PixArtPipeline') throw new Error(`${model} is a ${manifest.pipeline}`);
  const { transformer, vae, textEncoder } = manifest;
  const files = [...transformer.files, ...vae.files, ...(textEncoder?.files ?? [])];
  const shipped = Object.fromEntries(files.map(({ name, sha256 }) => [name, sha256]));
  expect(JSON.parse(fixture.metadata.get(model.replaceAll('-', '_')) ?? '')).toEqual(shipped);
});

describe('draws diffusers’ picture', () => {
  const negativePrompt = () => fixture.metadata.get('negative');
  const runs: [string, Model, () => Partial<PixArtGenerateOptions>][] = [
    ['plain', 'pixart-emoji', () => ({})],
    ['negative', 'pixart-emoji', () => ({ negativePrompt: negativePrompt() })],
    ['wide', 'pixart-emoji', () => ({ width: 96, height: 64 })],
    ['lcm', 'pixart-emoji-lcm', () => ({})],
  ];
  it.each(runs)('%s', async (name, model, options) => {
    const prompt = fixture.metadata.get('prompt');
    const seed = Number(fixture.metadata.get('seed'));
    const { images, report } = await pipeOf(model).generateFloats({ prompt, seed, ...options() });
    const want = tf.squeeze<tf.Tensor3D>(fixture.nhwc(name), [0]);
    const [got] = images as [tf.Tensor3D];
    expect(report.timesteps).toHaveLength(model === 'pixart-emoji' ? 20 : 4);
    expect(got.shape).toEqual(want.shape);
    expect(psnrOf(await got.data(), await want.data())).toBeGreaterThanOrEqual(MINIMUM_PSNR);
    tf.dispose([...images]);
  });
});

it('skips what Table 3 of the paper says of four steps: two of them leave out 6 of 28 blocks', async () => {
  const plan = pipeOf('pixart-emoji-lcm').plan({ cache: deltaDiT() });
  expect(reuseOf(plan!)).toEqual(['full', '22+6', 'full', '0+6']);
});
