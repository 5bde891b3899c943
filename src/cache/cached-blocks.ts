import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import { type Block, type BlockRunner, type Modulation, runBlock } from '../models/block.ts';
import { addResidual, residual } from './delta.ts';
import { type CachePlan, isTakenAfter, type PlanStep, type Span } from './plan.ts';

/** What one run has kept and done so far. */
export interface CacheCounts {
  readonly blocksComputed: number;
  readonly blocksReused: number;
  /** The most bytes that were kept at once. */
  readonly peakCachedBytes: number;
}

/** The state of one sampling run under a plan: one device tensor per recorded span. */
export class CachedBlocks {
  private readonly kept = new Map<string, { readonly span: Span; readonly tensor: tf.Tensor3D }>();
  private computed = 0;
  private reused = 0;
  private peakBytes = 0;

  constructor(private readonly plan: CachePlan) {}

  /** The runner of one step of the plan. */
  atStep(step: PlanStep): BlockRunner {
    return (blocks, tokens, cond) => this.run(step, blocks, tokens, cond);
  }

  get counts(): CacheCounts {
    return { blocksComputed: this.computed, blocksReused: this.reused, peakCachedBytes: this.peakBytes };
  }

  /** Frees what is kept. */
  dispose(): void {
    for (const { tensor } of this.kept.values()) tensor.dispose();
    this.kept.clear();
  }

  private async run<C, M extends Modulation>(
    step: PlanStep,
    blocks: readonly Block<C, M>[],
    tokens: tf.Tensor3D,
    cond: C,
  ): Promise<tf.Tensor3D> {
    const entries = new Map<Span, tf.Tensor3D>(); // h_in of the spans being recorded
    let h = tokens.clone();
    try {
      for (let index = 0; index < blocks.length; ) {
        for (const span of step.record) if (span.first === index) entries.set(span, h.clone());
        const [next, ran] = this.advance(step, blocks, index, h, cond);
        h.dispose();
        h = next;
        index += ran;
        for (const [span, hIn] of entries) if (span.first + span.count === index) this.keep(span, h, hIn);
      }
      this.release(step.step);
      return h;
    } catch (error) {
      h.dispose();
      throw error;
    } finally {
      tf.dispose([...entries.values()]);
    }
  }

  /** One block, or the span that is reused: the tokens after it and how many blocks that was. */
  private advance<C, M extends Modulation>(
    step: PlanStep,
    blocks: readonly Block<C, M>[],
    index: number,
    h: tf.Tensor3D,
    cond: C,
  ): [tf.Tensor3D, number] {
    const { reuse } = step;
    if (reuse?.first === index) {
      const kept = this.kept.get(key(reuse))?.tensor;
      if (!kept)
        throw new OptionError(`plan: step ${step.step} reuses blocks ${key(reuse)}, which no step before it recorded`);
      this.reused += reuse.count;
      return [this.plan.keeps === 'delta' ? addResidual(h, kept) : kept.clone(), reuse.count];
    }
    this.computed += 1;
    return [runBlock(blocks[index] as Block<C, M>, h, cond), 1];
  }

  private keep(span: Span, hOut: tf.Tensor3D, hIn: tf.Tensor3D): void {
    this.kept.get(key(span))?.tensor.dispose();
    const tensor = tf.keep(this.plan.keeps === 'delta' ? residual(hOut, hIn) : hOut.clone());
    this.kept.set(key(span), { span, tensor });
    const sizes = [...this.kept.values()].map(({ tensor: { size } }) => size * Float32Array.BYTES_PER_ELEMENT);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    this.peakBytes = Math.max(this.peakBytes, bytes);
  }

  /** Frees what no later step takes, so that a change of region does not keep both spans. */
  private release(step: number): void {
    for (const [name, { span, tensor }] of this.kept) {
      if (isTakenAfter(this.plan, step, span)) continue;
      tensor.dispose();
      this.kept.delete(name);
    }
  }
}

function key({ first, count }: Span): string {
  return `${first}+${count}`;
}
