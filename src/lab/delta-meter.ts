import * as tf from '@tensorflow/tfjs-core';
import { residual } from '../cache/delta.ts';
import type { Span } from '../cache/site.ts';
import { readTensor } from '../device.ts';
import { OptionError } from '../errors.ts';
import { type Block, type BlockRunner, runBlock } from '../models/block.ts';

/**
 * What is measured of a span's residual Δ at one step, for one row: a picture in one guidance half. ‖·‖ is the L2 norm
 * over tokens and channels, Δ′ the residual of the same span and row at the step before. NaN where it is undefined: the
 * last three at the first step, and quotients with 0 below the line.
 */
export interface DeltaMeasures {
  /** ‖Δ‖, in the units of the tokens. */
  readonly norm: number;
  /** ‖Δ‖ ÷ ‖h_in‖: how much the span adds to what it is given. */
  readonly relativeNorm: number;
  /** Δ·Δ′ ÷ (‖Δ‖·‖Δ′‖), from −1 to 1. */
  readonly cosine: number;
  /** ‖Δ − Δ′‖ ÷ ‖Δ′‖. */
  readonly relativeChange: number;
  /** ‖Δ − Δ′‖ ÷ ‖h_out‖: the relative error of the tokens after the span, had Δ-Cache put Δ′ in its place. */
  readonly reuseError: number;
}

export interface DeltaReading extends DeltaMeasures {
  /** 0… from noise. */
  readonly step: number;
  /** Index into the meter's spans. */
  readonly span: number;
  /** Index into the model's batch: all pictures in one guidance half, then in the other. */
  readonly row: number;
}

/**
 * Measures the residuals of spans of blocks over one uncached run, as a block runner that computes every block. From
 * step to step it holds one residual [N,T,D] a span on the device; what is read back, once a step, are scalars.
 */
export class DeltaMeter {
  private readonly meters: readonly SpanMeter[];

  /** @param spans may overlap */
  constructor(
    spans: readonly Span[],
    private readonly onReading: (reading: DeltaReading) => void,
  ) {
    this.meters = spans.map((span) => new SpanMeter(span));
  }

  /**
   * The runner of one step; they follow one another from noise.
   * @throws OptionError when a span does not lie inside the model
   */
  atStep(step: number): BlockRunner {
    return (blocks, tokens, cond) => this.run(step, blocks, tokens, cond);
  }

  /** Frees what is kept. */
  dispose(): void {
    for (const meter of this.meters) meter.dispose();
  }

  private async run<C>(step: number, blocks: readonly Block<C>[], tokens: tf.Tensor3D, cond: C): Promise<tf.Tensor3D> {
    for (const { span } of this.meters) checkSpan(span, blocks.length);
    const sums = new Map<SpanMeter, tf.Tensor2D>();
    let h = tokens.clone();
    try {
      for (const [index, block] of blocks.entries()) {
        for (const meter of this.meters) if (meter.span.first === index) meter.enter(h);
        const next = runBlock(block, h, cond);
        h.dispose();
        h = next;
        for (const meter of this.meters) if (endOf(meter.span) === index + 1) sums.set(meter, meter.leave(h));
      }
      if (this.meters.length > 0) await this.read(step, sums);
      return h;
    } catch (error) {
      h.dispose();
      throw error;
    } finally {
      tf.dispose([...sums.values()]);
    }
  }

  /** One awaited read for all spans. */
  private async read(step: number, sums: ReadonlyMap<SpanMeter, tf.Tensor2D>): Promise<void> {
    const stacked = tf.stack(this.meters.map((meter) => sums.get(meter) as tf.Tensor2D)); // [S,3 or 6,N]
    const values = await readTensor(stacked).finally(() => stacked.dispose());
    const [, kinds = 0, rows = 0] = stacked.shape;
    for (const span of this.meters.keys()) {
      for (let row = 0; row < rows; row++) {
        const ofRow = Array.from({ length: kinds }, (_, kind) => values[(span * kinds + kind) * rows + row] ?? 0);
        this.onReading({ step, span, row, ...measuresOf(ofRow) });
      }
    }
  }
}

/** One span's h_in while it runs, and its Δ′ from step to step. */
class SpanMeter {
  private hIn: tf.Tensor3D | undefined;
  private before: tf.Tensor3D | undefined;

  constructor(readonly span: Span) {}

  /** @param h borrowed [N,T,D] */
  enter(h: tf.Tensor3D): void {
    this.hIn?.dispose();
    this.hIn = h.clone();
  }

  /**
   * @param hOut borrowed [N,T,D]
   * @returns sums over tokens and channels, in the order of `measuresOf`: [3,N] at the first step, then [6,N]
   */
  leave(hOut: tf.Tensor3D): tf.Tensor2D {
    const { before, hIn = hOut } = this;
    const delta = residual(hOut, hIn);
    this.before = delta;
    const sums = tf.tidy(() => {
      const dot = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b), [1, 2]); // [N]
      const square = (x: tf.Tensor) => dot(x, x);
      const now = [square(hIn), square(hOut), square(delta)];
      const since = before ? [square(before), dot(delta, before), square(tf.sub(delta, before))] : [];
      return tf.stack([...now, ...since]) as tf.Tensor2D;
    });
    tf.dispose([this.hIn, before].filter((tensor) => tensor !== undefined));
    this.hIn = undefined;
    return sums;
  }

  dispose(): void {
    tf.dispose([this.hIn, this.before].filter((tensor) => tensor !== undefined));
    this.hIn = undefined;
    this.before = undefined;
  }
}

function endOf({ first, count }: Span): number {
  return first + count;
}

function checkSpan(span: Span, depth: number): void {
  if (span.first < 0 || span.count < 1 || endOf(span) > depth)
    throw new OptionError(`spans: expected blocks inside the model's ${depth}, got ${span.first}+${span.count}`);
}

/** @param sums ‖h_in‖², ‖h_out‖², ‖Δ‖²; after the first step also ‖Δ′‖², Δ·Δ′, ‖Δ − Δ′‖² */
function measuresOf(sums: readonly number[]): DeltaMeasures {
  const [hIn = 0, hOut = 0, delta = 0, before = Number.NaN, dot = Number.NaN, change = Number.NaN] = sums;
  const quotient = (above: number, below: number) => (below === 0 ? Number.NaN : above / below);
  return {
    norm: Math.sqrt(delta),
    relativeNorm: Math.sqrt(quotient(delta, hIn)),
    cosine: quotient(dot, Math.sqrt(delta * before)),
    relativeChange: Math.sqrt(quotient(change, before)),
    reuseError: Math.sqrt(quotient(change, hOut)),
  };
}
