import * as tf from '@tensorflow/tfjs-core';
import { splitRows } from '../../ops/rows.ts';
import { AccumulatedChange } from '../accumulated-change.ts';
import type { DynamicRun, ModelPass } from '../dynamic.ts';
import { checkCount, checkNumber } from '../option-checks.ts';
import type { DynamicPolicy } from '../policy.ts';
import { meanChange, readRows } from '../row-change.ts';
import type { RowTensors } from '../row-tensors.ts';

export interface EasyCacheOptions {
  /** τ: the model is skipped while the accumulated change stays below it. Default 0.05; 0 skips nothing. */
  readonly threshold?: number;
  /** Steps from noise that are computed. Default 10. */
  readonly warmUpSteps?: number;
}

/**
 * EasyCache (arXiv 2507.02860; `easycache_forward` of github.com/H-EmbodVis/EasyCache). At a computed step the
 * transformation rate is measured, k = ‖Δout‖ ÷ ‖Δin‖ since the computed step before, ‖·‖ the mean of absolute values. At each
 * later step k·‖x − x′‖ ÷ ‖out‖ is added up, x′ the latents of the step before, out the output last computed; while the sum
 * stays below τ, the model is replaced by x + (out − in) of the last computed step; else it is computed and the sum starts
 * anew. The warm-up and the last step are computed. Defaults are the authors' for Wan 2.1 at 50 steps.
 *
 * Here out is the guided output, as in the authors' HunyuanVideo port, whose model gives one; where a model gives two
 * halves, their Wan port goes by the conditional one.
 * @throws OptionError for numbers out of range.
 */
export function easyCache(options: EasyCacheOptions = {}): DynamicPolicy {
  const { threshold = 0.05, warmUpSteps = 10 } = options;
  checkNumber('threshold', threshold, 0);
  checkCount('warmUpSteps', warmUpSteps);
  return {
    name: 'easycache',
    begin: ({ numInferenceSteps }) => new EasyCacheRun(threshold, warmUpSteps, numInferenceSteps - 1),
  };
}

class EasyCacheRun implements DynamicRun {
  readonly keeps = 'delta';
  readonly predictor = { name: 'hold' } as const;
  readonly signals: number[][] = [];
  private readonly accumulated: AccumulatedChange;

  constructor(
    threshold: number,
    private readonly warmUpSteps: number,
    private readonly lastStep: number,
  ) {
    this.accumulated = new AccumulatedChange(threshold);
  }

  /** The rate is known after two computed steps. */
  mayReuse(step: number): boolean {
    return step >= Math.max(2, this.warmUpSteps) && step < this.lastStep;
  }

  async model(step: number, pass: ModelPass): Promise<void> {
    const { kept, latents, rowCount } = pass;
    const expected = this.mayReuse(step) ? expectedChange(kept, latents) : undefined;
    const changes = expected ? await readRows(expected) : [];
    this.signals.push(changes);
    const reuse = this.accumulated.reuse(changes, rowCount);
    kept.put('latents', latents);
    learn(kept, latents, await pass.run(reuse), splitRows(reuse).no);
  }
}

/** k·‖x − x′‖ ÷ ‖out‖ of each row [N], fresh; undefined before k is known. */
function expectedChange(kept: RowTensors, latents: tf.Tensor4D): tf.Tensor1D | undefined {
  const [rate, before, output] = [kept.get<tf.Tensor1D>('rate'), kept.get('latents'), kept.get('output')];
  if (!rate || !before || !output) return undefined;
  return tf.tidy(() => tf.div(tf.mul(rate, meanChange(latents, before)), meanChange(output)));
}

/** Measures k in the rows that were computed, and keeps what it is measured by. */
function learn(kept: RowTensors, latents: tf.Tensor4D, output: tf.Tensor4D, rows: readonly number[]): void {
  if (rows.length === 0) return;
  const [input, before] = [kept.get('computed latents'), kept.get('output')];
  if (input && before) {
    const rate = tf.tidy(() => tf.div(meanChange(output, before), meanChange(latents, input)));
    kept.put('rate', rate, rows);
    rate.dispose();
  }
  kept.put('computed latents', latents, rows);
  kept.put('output', output, rows);
}
