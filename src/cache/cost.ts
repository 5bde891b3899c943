import { type CachePlan, countBlocks } from './plan.ts';

/** Multiply-accumulates of one block for one sample, however a model counts them. */
export interface BlockCost {
  readonly blockLinear: number;
  readonly blockAttention: number;
}

/** MACs of all blocks over a run, for one sample and one guidance half. */
export interface PlanCost {
  /** Linears only, as the paper counts. */
  readonly linear: number;
  /** Attention products QKᵀ and A·V included. */
  readonly withAttention: number;
  /** Uncached ÷ planned, of the blocks alone: 1.6 for the paper's T = 20, N = 2, N_c = 21 of 28. */
  readonly macsRatio: number;
}

export function planCost(plan: CachePlan, { blockLinear, blockAttention }: BlockCost): PlanCost {
  const { computed, reused } = countBlocks(plan);
  return {
    linear: computed * blockLinear,
    withAttention: computed * (blockLinear + blockAttention),
    macsRatio: (computed + reused) / computed,
  };
}
