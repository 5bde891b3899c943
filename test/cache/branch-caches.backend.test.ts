import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { fora } from '../../src/cache/policies/fora.ts';
import { taylorSeer } from '../../src/cache/policies/taylor-seer.ts';
import type { StaticPolicy } from '../../src/cache/policy.ts';
import type { DiT } from '../../src/models/dit.ts';
import { relativeL2 } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';
import { expectNoLeak } from '../support/memory.ts';
import { planSetting } from '../support/plans.ts';
import { loadTinyDiT } from '../support/tiny-dit.ts';

const PER_FORWARD = 1e-4;

let fixture: Fixture;
let dit: DiT;
beforeAll(async () => {
  [fixture, dit] = [await readFixture('branch-caches.safetensors'), await loadTinyDiT('original')];
});
afterAll(() => dit.dispose());

/** How far each step's output is from the authors', and from the uncached model. */
async function compared(policy: StaticPolicy, name: string): Promise<{ authors: number; uncached: number }[]> {
  const cache = new CachedBlocks(policy.plan(planSetting(Number(fixture.metadata.get('steps')), dit.config.depth)));
  const [latents, wanted] = [fixture.nhwcSteps('latents'), fixture.nhwcSteps(name)];
  const [timesteps, labels] = [fixture.numbers('timesteps'), fixture.numbers('labels')];
  const distances: { authors: number; uncached: number }[] = [];
  for (const [step, x] of latents.entries()) {
    const t = labels.map(() => timesteps[step]!);
    const [got, uncached] = [await dit.predict(x, t, labels, cache.atStep(step)), await dit.predict(x, t, labels)];
    distances.push({ authors: await relativeL2(got, wanted[step]!), uncached: await relativeL2(got, uncached) });
    tf.dispose([got, uncached]);
  }
  cache.dispose();
  tf.dispose([...latents, ...wanted]);
  return distances;
}

it.each([
  ['FORA', 'fora', () => fora({ interval: 3 }), [0, 1, 4, 7]],
  ['TaylorSeer', 'taylorseer', () => taylorSeer({ interval: 3, order: 2 }), [0, 1, 4, 7]],
] as const)('%s gives what its authors’ DiT gives', async (_, name, policy, full) => {
  const distances = await expectNoLeak(() => compared(policy(), name));
  expect(distances).toHaveLength(9);
  for (const [step, { authors, uncached }] of distances.entries()) {
    expect(authors).toBeLessThan(PER_FORWARD);
    if (!full.some((one) => one === step)) expect(uncached).toBeGreaterThan(10 * PER_FORWARD);
  }
});
