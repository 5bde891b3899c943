import {
  type CachePolicy,
  deltaDiT,
  fasterDiffusion,
  firstBlockCache,
  fora,
  forecast,
  type PlanCell,
  pyramidAttentionBroadcast,
  taylorSeer,
  teaCache,
} from '../index.ts';
import type { CacheChoice, MethodName } from './cache-methods.ts';

interface Made {
  readonly make: (options: Readonly<Record<string, number>>) => CachePolicy;
  /** Of a method that decides as it runs: the first blocks, which it computes at every step. */
  readonly alwaysComputed?: number;
}

const POLICIES: Readonly<Record<MethodName, Made>> = {
  'delta-dit': { make: deltaDiT },
  fora: { make: fora },
  taylorseer: { make: taylorSeer },
  pab: { make: pyramidAttentionBroadcast },
  'faster-diffusion': { make: fasterDiffusion },
  forecast: { make: forecast },
  'first-block-cache': { make: firstBlockCache, alwaysComputed: 1 },
  teacache: { make: teaCache, alwaysComputed: 0 },
};

/** @throws OptionError for options that the method does not take together; others only when it plans */
export function policyOf({ method, options }: CacheChoice): CachePolicy {
  return POLICIES[method].make(options);
}

/** As `--cache-option` takes them. */
export function optionPairs({ options }: CacheChoice): string[] {
  return Object.entries(options).map(([name, value]) => `${name}=${value}`);
}

/**
 * What a step of a method that decides as it runs did with each block.
 * @param computed of the blocks, on average over the rows: where it is neither all nor the fewest, rows differed
 */
export function decidedColumn(method: MethodName, computed: number, depth: number): readonly PlanCell[] {
  const { alwaysComputed = 0 } = POLICIES[method];
  const others: PlanCell = computed >= depth ? 'recorded' : computed <= alwaysComputed ? 'reused' : 'partly';
  return Array.from({ length: depth }, (_, block) => (block < alwaysComputed ? 'computed' : others));
}
