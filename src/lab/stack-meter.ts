import * as tf from '@tensorflow/tfjs-core';
import { relativeChange } from '../cache/row-change.ts';
import { readTensor } from '../device.ts';
import { type Block, type BlockRunner, type Modulation, runAllBlocks } from '../models/block.ts';
import { layerNormModulate } from '../ops/layer-norm.ts';

/** What is measured of all blocks together at one step, for one row, against the step before. */
export interface StackReading {
  /** 1… from noise: the first step has none before it. */
  readonly step: number;
  /** Of the residual r = h_out − h_in: the mean over the tokens of ‖r‖ ÷ ‖r′‖. */
  readonly magnitudeRatio: number;
  /** Of M, the first block's modulated input: mean|M − M′| ÷ mean|M′|. */
  readonly inputChange: number;
  /** Of h_out, the tokens after the last block: the same. */
  readonly outputChange: number;
}

/** models.py DiTBlock: the norm before the attention. */
const NORM_EPS = 1e-6;
/** `_perform_calibration_step` of diffusers' MagCache adds it below the line. */
const LEAST_NORM = 1e-8;

interface Kept {
  /** ‖r‖ of each token [N,T]. */
  readonly norms: tf.Tensor2D;
  /** [N,T,D] */
  readonly input: tf.Tensor3D;
  readonly output: tf.Tensor3D;
}

/** Measures the whole stack over one uncached run, as a block runner that computes every block. Reads once a step. */
export class StackMeter {
  private before: Kept | undefined;

  constructor(private readonly onReading: (reading: StackReading) => void) {}

  /** The runner of one step; they follow one another from noise. */
  atStep(step: number): BlockRunner {
    return async (blocks, tokens, cond) => {
      const h = await runAllBlocks(blocks, tokens, cond);
      try {
        await this.measure(step, blocks[0], { tokens, cond, h });
        return h;
      } catch (error) {
        h.dispose();
        throw error;
      }
    };
  }

  /** Frees what is kept. */
  dispose(): void {
    tf.dispose({ ...this.before });
    this.before = undefined;
  }

  private async measure<C, M extends Modulation>(
    step: number,
    first: Block<C, M> | undefined,
    { tokens, cond, h }: { readonly tokens: tf.Tensor3D; readonly cond: C; readonly h: tf.Tensor3D },
  ): Promise<void> {
    if (!first) return;
    const now: Kept = tf.tidy(() => {
      const { shiftMsa, scaleMsa } = first.modulation(cond);
      const norms = tf.norm(tf.sub(h, tokens), 'euclidean', -1) as tf.Tensor2D; // [N,T]
      return { norms, input: layerNormModulate(tokens, shiftMsa, scaleMsa, NORM_EPS), output: h.clone() };
    });
    const { before } = this;
    this.before = now;
    if (!before) return;
    const changes = tf.tidy(() => {
      const ratio = tf.mean(tf.div(now.norms, tf.add(before.norms, LEAST_NORM)), 1); // [N]
      return tf.stack([ratio, relativeChange(now.input, before.input), relativeChange(now.output, before.output)]);
    });
    tf.dispose({ ...before });
    const values = await readTensor(changes).finally(() => changes.dispose());
    const rows = values.length / 3;
    for (let row = 0; row < rows; row++) {
      const [magnitudeRatio = 0, inputChange = 0, outputChange = 0] = [0, 1, 2].map(
        (kind) => values[kind * rows + row],
      );
      this.onReading({ step, magnitudeRatio, inputChange, outputChange });
    }
  }
}
