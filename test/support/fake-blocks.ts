import * as tf from '@tensorflow/tfjs-core';
import { type Block, gatedBranch, type Modulation } from '../../src/models/block.ts';
import { joinResidual } from '../../src/ops/layer-norm.ts';

/** A conditioning that names the step, so that a test sees which one a block was given. */
export interface FakeConditioning {
  readonly gate: number;
}

/**
 * A block of two branches, x + gate·(x² + bias) and then x + gate·bias, in which every block, step and order shows.
 * `log` receives the block's index each time it is evaluated.
 */
export function fakeBlock(index: number, log: number[] = []): Block<FakeConditioning> {
  const bias = (index + 1) / 10;
  return {
    modulation: ({ gate }) => {
      log.push(index);
      const filled = tf.fill([1, 2], gate) as tf.Tensor2D;
      return {
        shiftMsa: filled,
        scaleMsa: filled,
        gateMsa: filled,
        shiftMlp: filled,
        scaleMlp: filled,
        gateMlp: filled,
      };
    },
    rows: (cond) => cond,
    branches: [
      gatedBranch(
        'self',
        (mod: Modulation) => mod.gateMsa,
        (x, _, { residual }) => tf.tidy(() => joinResidual(tf.add(tf.square(x), bias), residual)),
      ),
      gatedBranch(
        'mlp',
        (mod: Modulation) => mod.gateMlp,
        (x, _, { residual }) => tf.tidy(() => joinResidual(tf.fill(x.shape, bias) as tf.Tensor3D, residual)),
      ),
    ],
  };
}

export function fakeBlocks(depth: number, log: number[] = []): Block<FakeConditioning>[] {
  return Array.from({ length: depth }, (_, index) => fakeBlock(index, log));
}

/** A block that fails when it is evaluated. */
export function failingBlock(): Block<FakeConditioning> {
  return {
    ...fakeBlock(0),
    modulation: () => {
      throw new Error('block failed');
    },
  };
}

/** [1,3,2] tokens, small and different. */
export function fakeTokens(offset = 0): tf.Tensor3D {
  return tf.tensor3d(
    [0.1, -0.2, 0.3, 0.4, -0.5, 0.6].map((value) => value + offset),
    [1, 3, 2],
  );
}
