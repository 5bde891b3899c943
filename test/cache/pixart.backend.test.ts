import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import { reportDeltas } from '../../src/cache/record-deltas.ts';
import { type BlockRunner, runAllBlocks, runBlock } from '../../src/models/block.ts';
import type { PixArt } from '../../src/models/pixart.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { expectNoLeak } from '../support/memory.ts';
import { planSetting } from '../support/plans.ts';
import { forwardInputs, loadPixArt, readPixArtFixture } from '../support/tiny-pixart.ts';

let pixart: PixArt;
let inputs: ReturnType<typeof forwardInputs>;
beforeAll(async () => {
  pixart = await loadPixArt('tiny');
  inputs = forwardInputs(await readPixArtFixture('tiny'), 'original');
});
afterAll(() => pixart.dispose());

async function predict(t: number, run?: BlockRunner): Promise<tf.Tensor4D> {
  const { x, embeds, mask } = inputs;
  const caption = pixart.projectCaption(embeds, mask);
  try {
    return await pixart.predict(x, [t, t], caption, { ...(run && { run }) });
  } finally {
    tf.dispose([caption.tokens, caption.bias]);
  }
}

describe('a cached runner over the blocks of PixArt', () => {
  it('with nothing cached is the plain forward, bit for bit', async () => {
    const plan = uncachedPlan(planSetting(2, 3));
    const cache = new CachedBlocks(plan);
    for (const [step, t] of [
      [0, 999],
      [1, 500],
    ] as const)
      await expectBitEqual(await predict(t, cache.atStep(step)), await predict(t));
    expect(cache.counts).toMatchObject({ blocksComputed: 6, blocksReused: 0 });
    cache.dispose();
  });

  it('reuses what its span added: h + Δ, then the blocks that are left', async () => {
    const plan = deltaCache({ region: 'front', cachedBlocks: 2 }).plan(planSetting(2, 3));
    const cache = new CachedBlocks(plan);
    const seen: tf.Tensor3D[] = [];
    const spelledOut: BlockRunner = async (blocks, tokens, cond) => {
      const delta = tf.sub(seen[1]!, seen[0]!);
      return runBlock(blocks[2]!, tf.add(tokens, delta) as tf.Tensor3D, cond);
    };
    await predict(999, async (blocks, tokens, cond) => {
      seen.push(tokens.clone(), await runAllBlocks(blocks.slice(0, 2), tokens, cond));
      return runAllBlocks(blocks, tokens, cond);
    });
    await predict(999, cache.atStep(0));
    const got = await predict(500, cache.atStep(1));
    expect(await relativeL2(got, await predict(500, spelledOut))).toBeLessThan(1e-6);
    expect(await relativeL2(got, await predict(500))).toBeGreaterThan(1e-3);
    cache.dispose();
  });

  it('runs Δ-DiT with the counts of its plan, and leaks nothing', async () => {
    const plan = deltaDiT({ interval: 2, cachedBlocks: 2, stageBound: 2 }).plan(planSetting(4, 3));
    await expectNoLeak(async () => {
      const cache = new CachedBlocks(plan);
      for (const step of plan.steps) (await predict(999 - 200 * step.step, cache.atStep(step.step))).dispose();
      expect(cache.counts).toMatchObject({ blocksComputed: 8, blocksReused: 4 });
      cache.dispose();
    });
  });

  it('reports what each block added', async () => {
    const seen: number[] = [];
    await predict(
      10,
      reportDeltas(runAllBlocks, ({ block, delta }) => {
        seen.push(block);
        expect(delta.shape).toEqual([2, 15, 24]);
      }),
    );
    expect(seen).toEqual([0, 1, 2]);
  });
});
