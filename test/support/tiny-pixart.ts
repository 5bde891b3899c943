import { join } from 'node:path';
import type * as tf from '@tensorflow/tfjs-core';
import { type OpenPixArtOptions, openPixArt } from '../../converters/open-pixart.ts';
import { withWeights } from '../../src/checkpoint/archive.ts';
import type { Numerics } from '../../src/models/dit-config.ts';
import { type MicroConditions, PixArt } from '../../src/models/pixart.ts';
import type { PixArtCheckpoint } from '../../src/models/pixart-checkpoint.ts';
import { withPixArtNumerics } from '../../src/models/pixart-config.ts';
import { PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { type Fixture, readFixture } from './fixtures.ts';

/** What PixArt-α computes; written by test/fixtures/make_pixart.py. */
export const PIXART = join(__dirname, '../fixtures/pixart');

/** What a weights file does not say of the fixtures' models. */
export const PIXART_SIZES = { numHeads: 2, vae: join(PIXART, 'tiny-diffusers') } satisfies OpenPixArtOptions;

/** The two fixtures: a model as PixArt-α 512, and one as 1024-MS, which is told the picture's size. */
export const PIXART_MODELS = ['tiny', 'ms'] as const;
export type PixArtName = (typeof PIXART_MODELS)[number];

const OPEN: Readonly<Record<PixArtName, () => Promise<PixArtCheckpoint>>> = {
  tiny: () => openPixArt(join(PIXART, 'tiny-diffusers')),
  ms: () => openPixArt(join(PIXART, 'ms.pth'), { ...PIXART_SIZES, interpolationScale: 2 }),
};

/** Opens a fixture and closes it after `use`. */
export async function withPixArtCheckpoint<T>(
  name: PixArtName,
  use: (checkpoint: PixArtCheckpoint) => Promise<T>,
): Promise<T> {
  const checkpoint = await OPEN[name]();
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

export function loadPixArt(name: PixArtName, numerics: Numerics = 'original'): Promise<PixArt> {
  return withPixArtCheckpoint(name, ({ transformer: { config, archive } }) =>
    withWeights(archive, (weights) => PixArt.fromWeights(withPixArtNumerics(config, numerics), weights)),
  );
}

/** The first of the fixtures with its text encoder, as a pipeline. @param change of the checkpoint */
export function loadTinyPixArtPipeline(change: Partial<PixArtCheckpoint> = {}): Promise<PixArtPipeline> {
  return withPixArtCheckpoint('tiny', (checkpoint) => PixArtPipeline.fromCheckpoint({ ...checkpoint, ...change }));
}

export function readPixArtFixture(name: PixArtName): Promise<Fixture> {
  return readFixture(`../pixart/${name}.safetensors`);
}

/** The picture's size as the named implementation writes it. */
export function sizeOf(fixture: Fixture, numerics: Numerics): MicroConditions {
  const number = (name: string) => Number(fixture.metadata.get(name));
  return { height: number('height'), width: number('width'), aspectRatio: number(`aspect_ratio.${numerics}`) };
}

/** The arguments of a forward, the fixture's own. */
export function forwardInputs(fixture: Fixture, numerics: Numerics, latents: 'wide' | 'square' = 'wide') {
  return {
    x: fixture.nhwc(`input.${latents}`),
    t: fixture.numbers('input.timesteps'),
    embeds: fixture.tensor<tf.Tensor3D>('input.caption'),
    mask: fixture.tensor<tf.Tensor2D>('input.mask'),
    size: sizeOf(fixture, numerics),
  };
}
