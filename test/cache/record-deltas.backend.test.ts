import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import { recordDeltas, reportDeltas } from '../../src/cache/record-deltas.ts';
import { type BlockRunner, runAllBlocks, runBlock } from '../../src/models/block.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { failingBlock, fakeBlock, fakeBlocks, fakeTokens } from '../support/fake-blocks.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { planSetting } from '../support/plans.ts';

const cond = { gate: 0.5 };

describe('recordDeltas', () => {
  it('changes nothing, and its residual is out − in', async () => {
    const recorded = recordDeltas(fakeBlock(2));
    const [tokens, plain] = [fakeTokens(), runBlock(fakeBlock(2), fakeTokens(), cond)];
    await expectBitEqual(runBlock(recorded, tokens, cond), plain);
    await expectBitEqual(recorded.takeDelta()!, tf.sub(plain, tokens));
  });

  it('records too when a runner computes raw and merges', async () => {
    const recorded = recordDeltas(fakeBlock(2));
    const tokens = fakeTokens();
    const mod = recorded.modulation(cond);
    const out = recorded.branches.reduce((x, branch) => branch.merge(x, branch.raw(x, mod), mod), tokens);
    await expectBitEqual(recorded.takeDelta()!, tf.sub(out, tokens));
  });

  it('hands the residual over once, and keeps the latest', async () => {
    const recorded = recordDeltas(fakeBlock(0));
    expect(recorded.takeDelta()).toBeUndefined();
    runBlock(recorded, fakeTokens(), cond);
    const latest = runBlock(recorded, fakeTokens(1), cond);
    await expectBitEqual(recorded.takeDelta()!, tf.sub(latest, fakeTokens(1)));
    expect(recorded.takeDelta()).toBeUndefined();
  });

  it('frees what is not taken, and leaves what is taken to the taker', async () => {
    await expectNoLeak(() => {
      const [recorded, tokens] = [recordDeltas(fakeBlock(0)), fakeTokens()];
      for (let run = 0; run < 3; run++) runBlock(recorded, tokens, cond).dispose();
      const delta = recorded.takeDelta()!;
      runBlock(recorded, tokens, cond).dispose();
      recorded.dispose();
      recorded.dispose();
      expect(delta.isDisposed).toBe(false);
      tf.dispose([delta, tokens]);
    });
  });

  it('the residuals of consecutive blocks add up to that of their span', async () => {
    const recorded = fakeBlocks(4).map((block) => recordDeltas(block));
    const out = await runAllBlocks(recorded, fakeTokens(), cond);
    const sum = tf.addN(recorded.map((block) => block.takeDelta()!));
    expect(await relativeL2(sum, tf.sub(out, fakeTokens()))).toBeLessThan(1e-6);
  });
});

describe('reportDeltas', () => {
  const plan = deltaCache({ region: 'middle', cachedBlocks: 2 }).plan(planSetting(2, 4));

  async function reported(run: BlockRunner): Promise<number[]> {
    const blocks: number[] = [];
    const tokens = fakeTokens();
    await expectNoLeak(async () => {
      const out = await reportDeltas(run, ({ block, delta }) => {
        expect(delta.shape).toEqual(tokens.shape);
        blocks.push(block);
      })(fakeBlocks(4), tokens, cond);
      out.dispose();
    });
    return blocks;
  }

  it('reports every block that is evaluated, in order, and leaks nothing', async () => {
    expect(await reported(runAllBlocks)).toEqual([0, 1, 2, 3]);
  });

  it('reports nothing of blocks that a cache skips', async () => {
    const cache = new CachedBlocks(plan);
    (await cache.atStep(0)(fakeBlocks(4), fakeTokens(), cond)).dispose();
    const seen: number[] = [];
    (
      await reportDeltas(cache.atStep(1), ({ block }) => void seen.push(block))(fakeBlocks(4), fakeTokens(), cond)
    ).dispose();
    expect(seen).toEqual([0, 3]);
    cache.dispose();
  });

  it('gives the tokens of the runner, untouched', async () => {
    const want = await runAllBlocks(fakeBlocks(4), fakeTokens(), cond);
    await expectBitEqual(await reportDeltas(runAllBlocks, async () => {})(fakeBlocks(4), fakeTokens(), cond), want);
  });

  it('frees everything when the listener fails, or a block does', async () => {
    const tokens = fakeTokens();
    const failing = () => Promise.reject(new Error('listener failed'));
    await expectCleanFailure(
      () => reportDeltas(runAllBlocks, failing)(fakeBlocks(4), tokens, cond),
      Error,
      /listener failed/,
    );
    const blocks = [...fakeBlocks(2), failingBlock()];
    await expectCleanFailure(() => reportDeltas(runAllBlocks, () => {})(blocks, tokens, cond), Error, /block failed/);
  });
});
