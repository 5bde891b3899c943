import { OptionError } from '../errors.ts';
import type { Painter } from '../pipelines/painter.ts';
import { frontierOf } from './equal-latency.ts';
import { distinct, type LabMethod } from './lab-method.ts';
import type { Scored, SearchOptions } from './tune-scores.ts';
import { FINALISTS, type TunedMethod, TuneSearch } from './tune-search.ts';

/** One of the two goals. */
export type TuneGoal =
  /** So many times faster than 20 uncached DDIM steps, as near to the converged picture as can be. */
  | { readonly targetSpeedup: number }
  /** At least so near to the converged picture (dB), as fast as can be. */
  | { readonly minPsnr: number };

export interface TuneOptions extends SearchOptions {
  readonly goal: TuneGoal;
}

export interface TuneReport {
  /** Null where nothing that was tried reaches the goal. */
  readonly best: TunedMethod | null;
  /** What comes nearest to the goal: the best one where it is reached. */
  readonly nearest: TunedMethod;
  /** All that was measured on held-out pictures, nearest pictures first. */
  readonly tried: readonly TunedMethod[];
  /** Of these the ones that no other beats in both speed and PSNR, fastest first. */
  readonly frontier: readonly TunedMethod[];
}

/** Speeds that a search for the fastest one goes through. */
const SPEEDS = [4, 3.4, 2.9, 2.5, 2.2, 1.9, 1.7, 1.5, 1.35, 1.2, 1] as const;
/** Of these the ones that show what there is, where a goal is out of reach. */
const SHOWN_SPEEDS = [4, 2.5, 1.5] as const;
/** What that takes, about. */
const HALVING = { looks: 5, evaluations: 11 };
/** What the search may lose on other pictures, dB. */
const CAUTION = 0.5;
/** By how much a way should be faster than is asked, since times scatter. */
const MARGIN = 1.03;
/** Searches at another speed, where times turn out other than expected. */
const RETRIES = 2;

/** What `tune` asks of a search. */
export type Search = Pick<TuneSearch, 'bestAt' | 'placed' | 'decide'>;

/**
 * Searches solver, steps, timesteps, interval, site, span, stage bound and predictor on a few pictures, and lets other
 * ones decide. What a candidate takes is worked out from steps that are measured first, predicted ones included, and of
 * the finalists measured.
 * @throws OptionError for options out of range; AbortError when stopped
 */
export async function tune(painter: Painter, options: TuneOptions): Promise<TuneReport> {
  checkGoal(options.goal);
  const search = new TuneSearch(painter, options);
  const { goal } = options;
  await search.prepare('targetSpeedup' in goal ? { looks: 1, evaluations: 20 / goal.targetSpeedup } : HALVING);
  return tuneWith(search, goal);
}

function checkGoal(goal: TuneGoal): void {
  const wanted = 'targetSpeedup' in goal ? goal.targetSpeedup : goal.minPsnr;
  if (!(wanted > 0)) throw new OptionError(`tune: expected a positive goal, got ${wanted}`);
}

/** Where the goal is out of reach, also what the best ways at several speeds give. */
export async function tuneWith(search: Search, goal: TuneGoal): Promise<TuneReport> {
  const tried =
    'targetSpeedup' in goal ? await atSpeed(search, goal.targetSpeedup) : await fastest(search, goal.minPsnr);
  if (tried.some((one) => isReached(goal, one))) return reportOf(goal, tried);
  const shown: LabMethod[] = [];
  for (const speed of SHOWN_SPEEDS) {
    const [best] = await search.bestAt(speed);
    if (best && !tried.some(({ method }) => method.name === best.method.name)) shown.push(best.method);
  }
  return reportOf(goal, [...tried, ...(await search.decide(distinct(shown)))]);
}

function isReached(goal: TuneGoal, { speedup, psnr }: TunedMethod): boolean {
  return 'targetSpeedup' in goal ? speedup >= goal.targetSpeedup : psnr >= goal.minPsnr;
}

function reportOf(goal: TuneGoal, all: readonly TunedMethod[]): TuneReport {
  const tried = [...all].sort((a, b) => b.psnr - a.psnr);
  const reached = tried.filter((one) => isReached(goal, one));
  const isSpeed = 'targetSpeedup' in goal;
  const best = isSpeed ? reached[0] : by(reached, ({ speedup }) => speedup);
  const nearest = best ?? (isSpeed ? by(tried, ({ speedup }) => speedup) : tried[0]);
  if (!nearest) throw new OptionError('tune: not even one step fits; ask for less');
  const frontier = frontierOf(tried.map((one) => ({ ...one, seconds: 1 / one.speedup })));
  return { best: best ?? null, nearest, tried, frontier };
}

function by<T>(all: readonly T[], measure: (one: T) => number): T | undefined {
  return [...all].sort((a, b) => measure(b) - measure(a))[0];
}

/** The best that are fast enough; where times were expected too low, once more for faster ones. */
async function atSpeed(search: Search, speedup: number): Promise<readonly TunedMethod[]> {
  const tried: TunedMethod[] = [];
  let asked = speedup * MARGIN;
  for (let attempt = 0; attempt <= RETRIES; attempt++) {
    const scored = await search.bestAt(asked);
    const [best] = scored;
    if (!best) break;
    const placed = await search.placed(best);
    const finalists = [...(placed ? [placed] : []), ...scored].map(({ method }) => method).slice(0, FINALISTS);
    const measured = await search.decide(finalists);
    tried.push(...measured);
    const slowest = measured[0]?.speedup ?? 0; // of the nearest pictures
    if (slowest >= speedup) break;
    asked *= (speedup * MARGIN) / slowest;
  }
  return tried;
}

/** Ways that are near enough, the fastest speed being found by halving; where none is, the nearest. */
async function fastest(search: Search, minPsnr: number): Promise<readonly TunedMethod[]> {
  const bests = new Map<number, Scored | undefined>();
  const bestAt = async (index: number) => {
    if (!bests.has(index)) bests.set(index, (await search.bestAt(SPEEDS[index] ?? 1))[0]);
    return bests.get(index);
  };
  const enough = (one: Scored | undefined) => one !== undefined && one.psnr >= minPsnr + CAUTION;
  let [fast, slow] = [0, SPEEDS.length - 1];
  if (!enough(await bestAt(slow))) fast = slow;
  while (fast < slow) {
    const middle = Math.floor((fast + slow) / 2); // quality grows with time
    if (enough(await bestAt(middle))) slow = middle;
    else fast = middle + 1;
  }
  const tried: TunedMethod[] = [];
  for (let index = slow; index <= Math.min(slow + RETRIES, SPEEDS.length - 1); index++) {
    const [faster, found] = [index > 0 ? await bestAt(index - 1) : undefined, await bestAt(index)];
    const placed = faster && (await search.placed(faster));
    const finalists = [placed, found].flatMap((one) => (one ? [one.method] : []));
    tried.push(...(await search.decide(finalists)));
    if (tried.some(({ psnr }) => psnr >= minPsnr)) break;
  }
  return tried;
}
