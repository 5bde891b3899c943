import * as tf from '@tensorflow/tfjs-core';
import { addResidual, residual } from '../cache/delta.ts';
import { predictorOf } from '../cache/predictors/named.ts';
import type { PredictorSpec } from '../cache/predictors/predictor.ts';
import { type Span, spanSite } from '../cache/site.ts';
import { SiteStore } from '../cache/site-store.ts';
import { readTensor } from '../device.ts';
import { type Block, type BlockRunner, type Modulation, runBlock } from '../models/block.ts';

/** What it would do to the tokens after the last block to predict one span at one step. */
export interface SpanErrorReading {
  /** 0… from noise. */
  readonly step: number;
  /** Index into the meter's spans. */
  readonly span: number;
  /** Mean over the rows of ‖h′ − h‖² ÷ ‖h‖², h′ what the last block gives after the span's predicted residual. */
  readonly squaredError: number;
}

/**
 * Measures over one uncached run how well the residual of each span is predicted from those of the full steps before.
 * At the other steps the blocks after the span run once more for each span; the run itself goes on uncached.
 */
export class SpanErrorMeter {
  private readonly store: SiteStore;

  /** @param spans may overlap @param isFull steps whose residuals predictions look back at */
  constructor(
    private readonly spans: readonly Span[],
    predictor: PredictorSpec,
    private readonly isFull: (step: number) => boolean,
    private readonly onReading: (reading: SpanErrorReading) => void,
  ) {
    this.store = new SiteStore(predictorOf(predictor));
  }

  /** The runner of one step; they follow one another from noise, the first being full. */
  atStep(step: number): BlockRunner {
    return (blocks, tokens, cond) => this.run(step, blocks, tokens, cond);
  }

  /** Frees what is kept. */
  dispose(): void {
    this.store.dispose();
  }

  private async run<C, M extends Modulation>(
    step: number,
    blocks: readonly Block<C, M>[],
    tokens: tf.Tensor3D,
    cond: C,
  ): Promise<tf.Tensor3D> {
    const hidden = [tokens.clone()]; // before each block, and after the last
    try {
      for (const block of blocks) hidden.push(runBlock(block, hidden.at(-1) as tf.Tensor3D, cond));
      if (this.isFull(step)) this.remember(step, hidden);
      else await this.measure(step, blocks, hidden, cond);
      return (hidden.at(-1) as tf.Tensor3D).clone();
    } finally {
      tf.dispose(hidden);
    }
  }

  private remember(step: number, hidden: readonly tf.Tensor3D[]): void {
    for (const span of this.spans) {
      const [hIn, hOut] = [hidden[span.first], hidden[span.first + span.count]] as [tf.Tensor3D, tf.Tensor3D];
      this.store.put(spanSite(span), step, residual(hOut, hIn));
    }
  }

  private async measure<C, M extends Modulation>(
    step: number,
    blocks: readonly Block<C, M>[],
    hidden: readonly tf.Tensor3D[],
    cond: C,
  ): Promise<void> {
    const errors: tf.Scalar[] = [];
    try {
      for (const span of this.spans) {
        const predicted = await this.store.predict<tf.Tensor3D>(spanSite(span), step);
        errors.push(
          tf.tidy(() => {
            let h = addResidual(hidden[span.first] as tf.Tensor3D, predicted);
            for (const block of blocks.slice(span.first + span.count)) h = runBlock(block, h, cond);
            return squaredError(h, hidden.at(-1) as tf.Tensor3D);
          }),
        );
        predicted.dispose();
      }
      const stacked = tf.stack(errors); // [S]
      const values = await readTensor(stacked).finally(() => stacked.dispose());
      for (const span of this.spans.keys()) this.onReading({ step, span, squaredError: values[span] ?? 0 });
    } finally {
      tf.dispose(errors);
    }
  }
}

/** @param h and `right` [N,T,D] */
function squaredError(h: tf.Tensor3D, right: tf.Tensor3D): tf.Scalar {
  const square = (x: tf.Tensor) => tf.sum(tf.square(x), [1, 2]); // [N]
  return tf.mean(tf.div(square(tf.sub(h, right)), square(right)));
}
