import * as tf from '@tensorflow/tfjs-core';
import { type Modulation, plainBranch, runAllBlocks, runBlock } from '../../src/models/block.ts';
import { joinResidual } from '../../src/ops/layer-norm.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { failingBlock, fakeBlock, fakeBlocks, fakeTokens } from '../support/fake-blocks.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';

const cond = { gate: 0.5 };

describe('a gated branch', () => {
  it('apply is merge of raw, and merge is x + gate·raw', async () => {
    const block = fakeBlock(1);
    const [self] = block.branches;
    const mod = block.modulation(cond);
    const x = fakeTokens();
    await expectBitEqual(self!.apply(x, mod), self!.merge(x, self!.raw(x, mod), mod));
    const want = tf.add(x, tf.mul(tf.add(tf.square(x), 0.2), 0.5));
    expect(await relativeL2(self!.apply(x, mod), want)).toBeLessThan(1e-6);
  });
});

describe('a branch without a gate', () => {
  it('adds what it computes, and apply is merge of raw', async () => {
    const branch = plainBranch<Modulation>('cross', (x, _, { residual }) =>
      tf.tidy(() => joinResidual(tf.square(x), residual)),
    );
    const x = fakeTokens();
    const mod = fakeBlock(0).modulation(cond);
    expect(branch.name).toBe('cross');
    await expectBitEqual(branch.apply(x, mod), branch.merge(x, branch.raw(x, mod), mod));
    await expectBitEqual(branch.apply(x, mod), tf.add(x, tf.square(x)));
  });
});

describe('runBlock and runAllBlocks', () => {
  it('run every branch of every block once, in order', async () => {
    const log: number[] = [];
    const [first, second] = fakeBlocks(2, log);
    const got = await runAllBlocks([first!, second!], fakeTokens(), cond);
    expect(log).toEqual([0, 1]);
    await expectBitEqual(got, runBlock(second!, runBlock(first!, fakeTokens(), cond), cond));
  });

  it('give fresh tokens, even without blocks, and leave what they borrow', async () => {
    const tokens = fakeTokens();
    for (const depth of [0, 1, 3]) {
      await expectNoLeak(async () => {
        const out = await runAllBlocks(fakeBlocks(depth), tokens, cond);
        expect(tokens.isDisposed).toBe(false);
        out.dispose();
        expect(tokens.isDisposed).toBe(false);
      });
    }
  });

  it('free the tokens when a block fails in mid-forward', async () => {
    const tokens = fakeTokens();
    await expectCleanFailure(
      () => runAllBlocks([...fakeBlocks(2), failingBlock()], tokens, cond),
      Error,
      /block failed/,
    );
  });
});
