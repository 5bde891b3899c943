import type { CacheCounts } from '../cache/run-cache.ts';
import type { RunTimes } from '../pipelines/report.ts';
import { type Spread, spreadOf } from './spread.ts';

export type Side = 'uncached' | 'cached';

/** Two measurements that belong together, and which was made first. */
export interface Pair<T> {
  readonly first: Side;
  readonly uncached: T;
  readonly cached: T;
}

/** Measures both sides `runs` times, one right after the other; the first pair begins uncached, the next one cached. */
export async function interleaved<T>(
  runs: number,
  measure: (side: Side, pair: number) => Promise<T>,
): Promise<readonly Pair<T>[]> {
  const pairs: Pair<T>[] = [];
  for (let pair = 0; pair < runs; pair++) {
    const first = pair % 2 === 0 ? 'uncached' : 'cached';
    const before = await measure(first, pair);
    const after = await measure(first === 'uncached' ? 'cached' : 'uncached', pair);
    pairs.push(
      first === 'uncached' ? { first, uncached: before, cached: after } : { first, uncached: after, cached: before },
    );
  }
  return pairs;
}

/** An uncached and a cached run, one right after the other. Seconds are of the sampling loop. */
export interface LatencyPair {
  readonly first: Side;
  readonly uncachedSeconds: number;
  readonly cachedSeconds: number;
  /** uncached ÷ cached */
  readonly ratio: number;
}

/** All times are wall time in seconds, of the sampling loop without decoding. */
export interface PairTimes {
  /** Uncached ÷ cached: the median of the pairs' ratios. */
  readonly latencyRatio: number;
  /** The pairs' ratios. */
  readonly ratio: Spread;
  readonly uncachedSeconds: Spread;
  readonly cachedSeconds: Spread;
  readonly stepSeconds: {
    readonly uncached: Spread;
    /** Full steps of the cached runs, which also record what later steps take. Never without one: step 0 is full. */
    readonly full: Spread;
    /** Null where nothing was reused. */
    readonly cached: Spread | null;
  };
  readonly pairs: readonly LatencyPair[];
}

type TimedRun = Pick<RunTimes, 'samplingSeconds' | 'stepSeconds'> & Pick<CacheCounts, 'stepBlocks'>;

/** @param depth blocks of the model */
export function pairTimes(pairs: readonly Pair<TimedRun>[], depth: number): PairTimes {
  const timed = pairs.map(({ first, uncached, cached }): LatencyPair => {
    const [uncachedSeconds, cachedSeconds] = [uncached.samplingSeconds, cached.samplingSeconds];
    return { first, uncachedSeconds, cachedSeconds, ratio: uncachedSeconds / cachedSeconds };
  });
  const ratio = spreadOf(timed.map((pair) => pair.ratio));
  const steps = pairs.flatMap(({ cached }) =>
    cached.stepSeconds.map((seconds, step) => ({ seconds, cached: (cached.stepBlocks[step] ?? depth) < depth })),
  );
  const secondsOf = (cached: boolean) => steps.filter((step) => step.cached === cached).map(({ seconds }) => seconds);
  return {
    latencyRatio: ratio.median,
    ratio,
    uncachedSeconds: spreadOf(timed.map((pair) => pair.uncachedSeconds)),
    cachedSeconds: spreadOf(timed.map((pair) => pair.cachedSeconds)),
    stepSeconds: {
      uncached: spreadOf(pairs.flatMap(({ uncached }) => uncached.stepSeconds)),
      full: spreadOf(secondsOf(false)),
      cached: secondsOf(true).length > 0 ? spreadOf(secondsOf(true)) : null,
    },
    pairs: timed,
  };
}
