import { join } from 'node:path';
import { openT5 } from '../../converters/open-t5.ts';
import { withWeights } from '../../src/checkpoint/archive.ts';
import type { T5Checkpoint } from '../../src/models/t5-checkpoint.ts';
import { T5Encoder } from '../../src/models/t5-encoder.ts';
import type { PromptTokens } from '../../src/models/t5-forward.ts';
import { type Fixture, readFixture } from './fixtures.ts';

/** What transformers computed; written by test/fixtures/make_t5.py. */
export const T5_FIXTURES = join(__dirname, '../fixtures/t5');

export function readT5Fixture(name: 'encoder' | 'shared-storages' | 'attention'): Promise<Fixture> {
  return readFixture(join('../t5', `${name}.safetensors`));
}

/** Opens a tiny T5 with random weights, whose reference has the same name, and closes it after `use`. */
export async function withTinyT5<T>(
  use: (checkpoint: T5Checkpoint) => Promise<T>,
  name: 'encoder' | 'shared-storages' = 'encoder',
): Promise<T> {
  const checkpoint = await openT5(join(T5_FIXTURES, name));
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

export function loadTinyT5(): Promise<T5Encoder> {
  return withTinyT5(({ config, archive }) => withWeights(archive, (weights) => T5Encoder.fromWeights(config, weights)));
}

/** Rows of a matrix [N,L]. */
export function rowsOf(fixture: Fixture, name: string): Float32Array[] {
  const { shape, values } = fixture.get(name);
  const [count = 0, length = 0] = shape;
  return Array.from({ length: count }, (_, n) => values.subarray(n * length, (n + 1) * length));
}

/** The prompts that a reference was computed for: whole, padded, one token, none, with a hole. */
export function promptsOf(fixture: Fixture): PromptTokens[] {
  const masks = rowsOf(fixture, 'input.mask');
  return rowsOf(fixture, 'input.ids').map((inputIds, n) => ({ inputIds, attentionMask: masks[n]! }));
}
