import { join } from 'node:path';
import { openDiT } from '../../converters/open-dit.ts';
import { withWeights } from '../../src/checkpoint/archive.ts';
import { DiT } from '../../src/models/dit.ts';
import type { DiTCheckpoint } from '../../src/models/dit-checkpoint.ts';
import { type Numerics, withNumerics } from '../../src/models/dit-config.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { PARITY } from './fixtures.ts';

export const BOTH_NUMERICS: readonly Numerics[] = ['original', 'diffusers'];

/** Opens the tiny DiT with random weights that the reference numbers were made with, and closes it after `use`. */
export async function withTinyCheckpoint<T>(use: (checkpoint: DiTCheckpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openDiT(join(PARITY, 'dit-tiny-diffusers'));
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

export function loadTinyDiT(numerics: Numerics): Promise<DiT> {
  return withTinyCheckpoint(({ transformer: { config, archive } }) =>
    withWeights(archive, (weights) => DiT.fromWeights(withNumerics(config, numerics), weights)),
  );
}

export function loadTinyPipeline(numerics: Numerics): Promise<DiTPipeline> {
  return withTinyCheckpoint((checkpoint) => DiTPipeline.fromCheckpoint(checkpoint, { numerics }));
}
