import { OptionError } from '../errors.ts';
import type { BranchName } from '../models/block.ts';
import type { CachePlan } from './plan.ts';
import type { CacheCounts } from './run-cache.ts';
import type { Site } from './site.ts';

/** Multiply-accumulates of one residual branch for one sample. */
export interface BranchCost {
  readonly linear: number;
  readonly attention: number;
}

/** Multiply-accumulates of one block for one sample, however a model counts them. */
export interface BlockCost {
  /** Modulation included. */
  readonly blockLinear: number;
  readonly blockAttention: number;
  /** The branches' parts of it; the rest is the modulation's. */
  readonly branches: Readonly<Partial<Record<BranchName, BranchCost>>>;
}

/** MACs of all blocks over a run, for one sample and one guidance half. */
export interface PlanCost {
  /** Linears only, as the paper counts. */
  readonly linear: number;
  /** Attention products QKᵀ and A·V included. */
  readonly withAttention: number;
  /** Uncached ÷ planned, linears of the blocks alone: 1.6 for the paper's T = 20, N = 2, N_c = 21 of 28. */
  readonly macsRatio: number;
}

/** What a plan costs. A block whose branches are all reused still computes its modulation, for the gates. */
export function planCost(plan: CachePlan, cost: BlockCost): PlanCost {
  const reused = plan.steps.flatMap(({ reuse }) => reuse.map((site) => costOfSite(plan, site, cost)));
  const blocks = plan.depth * plan.steps.length;
  const linear = blocks * cost.blockLinear - sum(reused.map((site) => site.linear));
  const attention = blocks * cost.blockAttention - sum(reused.map((site) => site.attention));
  return { linear, withAttention: linear + attention, macsRatio: (blocks * cost.blockLinear) / linear };
}

/** What a run has cost whose method decided as it ran; the modulation of reused blocks is left out. */
export function countedCost(
  { blocksComputed, blocksReused }: Pick<CacheCounts, 'blocksComputed' | 'blocksReused'>,
  { blockLinear, blockAttention }: BlockCost,
): PlanCost {
  return {
    linear: blocksComputed * blockLinear,
    withAttention: blocksComputed * (blockLinear + blockAttention),
    macsRatio: (blocksComputed + blocksReused) / blocksComputed,
  };
}

function costOfSite({ depth }: CachePlan, site: Site, cost: BlockCost): BranchCost {
  if (site.kind === 'branch') {
    const branch = cost.branches[site.branch];
    if (!branch) throw new OptionError(`plan: this model has no branch ${site.branch}; mend the policy's plan()`);
    return branch;
  }
  const blocks = site.kind === 'model' ? depth : site.count;
  return { linear: blocks * cost.blockLinear, attention: blocks * cost.blockAttention };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
