import * as tf from '@tensorflow/tfjs-core';
import { type Block, type BlockRunner, runBlock } from '../models/block.ts';
import { addResidual, residual } from './delta.ts';
import type { CachePlan, PlanStep, Span } from './plan.ts';

/** What one run has kept and done so far. */
export interface CacheCounts {
  readonly blocksComputed: number;
  readonly blocksReused: number;
  /** The most bytes that were kept at once. */
  readonly peakCachedBytes: number;
}

/** The state of one sampling run under a plan: one device tensor per recorded span. */
export class CachedBlocks {
  private readonly kept = new Map<string, tf.Tensor3D>();
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
    for (const tensor of this.kept.values()) tensor.dispose();
    this.kept.clear();
  }

  private async run<C>(
    step: PlanStep,
    blocks: readonly Block<C>[],
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
      return h;
    } catch (error) {
      h.dispose();
      throw error;
    } finally {
      tf.dispose([...entries.values()]);
    }
  }

  /** One block, or the span that is reused: the tokens after it and how many blocks that was. */
  private advance<C>(
    step: PlanStep,
    blocks: readonly Block<C>[],
    index: number,
    h: tf.Tensor3D,
    cond: C,
  ): [tf.Tensor3D, number] {
    const kept = step.reuse?.first === index ? this.kept.get(key(step.reuse)) : undefined;
    if (step.reuse && kept) {
      this.reused += step.reuse.count;
      return [this.plan.keeps === 'delta' ? addResidual(h, kept) : kept.clone(), step.reuse.count];
    }
    this.computed += 1;
    return [runBlock(blocks[index] as Block<C>, h, cond), 1];
  }

  private keep(span: Span, hOut: tf.Tensor3D, hIn: tf.Tensor3D): void {
    this.kept.get(key(span))?.dispose();
    this.kept.set(key(span), tf.keep(this.plan.keeps === 'delta' ? residual(hOut, hIn) : hOut.clone()));
    const bytes = [...this.kept.values()].reduce(
      (sum, tensor) => sum + tensor.size * Float32Array.BYTES_PER_ELEMENT,
      0,
    );
    this.peakBytes = Math.max(this.peakBytes, bytes);
  }
}

function key({ first, count }: Span): string {
  return `${first}+${count}`;
}
