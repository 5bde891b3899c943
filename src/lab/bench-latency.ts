import type { PlanCost } from '../cache/cost.ts';
import { type CachePlan, type CachePolicy, countBlocks } from '../cache/plan.ts';
import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import { interleaved, type PairTimes, pairTimes, type Side } from './bench-pairs.ts';
import { type BenchProgress, BlockCount } from './bench-progress.ts';
import { prepareSubjects, type ReportedRun, reportedRun, subjectsInTurn } from './subjects.ts';

export interface LatencyOptions
  extends Pick<PaintOptions, 'numInferenceSteps' | 'guidanceScale' | 'sampler' | 'signal'> {
  /** What the pictures are of, in turn: classes or prompts. Default: all classes. */
  readonly subjects?: readonly string[] | undefined;
  /** The method that is timed. Default `deltaDiT()`. */
  readonly cache?: CachePolicy | undefined;
  /** Pairs of an uncached and a cached run. Default 3. */
  readonly runs?: number | undefined;
  /** Pictures that run through the model together. Default 1. */
  readonly batchSize?: number | undefined;
  /** Called after each step. */
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

/** What a cache method saves on a model. */
export interface LatencyReport extends PairTimes, ReportedRun {
  /** Uncached ÷ cached, counting the blocks alone: 1.6 for the paper's T = 20, N = 2, N_c = 21 of 28 of a DiT. */
  readonly macsRatio: number;
  /** Of the blocks, for one sample and guidance half; of a PixArt under the longest caption. */
  readonly macs: { readonly uncached: PlanCost; readonly cached: PlanCost };
  readonly peakCachedBytes: number;
  readonly parameters: number;
  readonly numInferenceSteps: number;
  readonly batchSize: number;
  /** One a picture of the batch. */
  readonly subjects: readonly string[];
  readonly cache: string;
}

const MAX_RUNS = 1000;
const MAX_BATCH_SIZE = 256;

/**
 * Times a cache method against the uncached model: after a cached run that is not counted, pairs of an uncached and a
 * cached run in one process, in alternating order, so that a machine that is shared or grows warm favours neither.
 * Prompts are encoded once, before.
 * @throws OptionError for runs, batchSize, subjects or an option of `generate` out of range; AbortError when stopped.
 */
export async function benchLatency(painter: Painter, options: LatencyOptions = {}): Promise<LatencyReport> {
  const { runs = 3, batchSize = 1, cache = deltaDiT(), guidanceScale, sampler, signal } = options;
  const { pipe } = painter;
  const { numInferenceSteps = pipe.defaults.numInferenceSteps } = options;
  checkWhole('runs', runs, 1, MAX_RUNS, 'pairs of an uncached and a cached run');
  checkWhole('batchSize', batchSize, 1, MAX_BATCH_SIZE, 'pictures that run together');
  const subjects = subjectsInTurn(painter, options.subjects, batchSize);
  const setting = { numInferenceSteps, guidanceScale, sampler, seed: 0 };
  const uncached = await planned(painter, subjects, setting);
  const cached = await planned(painter, subjects, { ...setting, cache });
  const sides = { uncached, cached };
  const blocks = ({ plan }: PlannedRun) => countBlocks(plan).computed;
  const total = runs * blocks(uncached) + (1 + runs) * blocks(cached); // the warm-up is cached
  await prepareSubjects(painter, subjects, options);
  const count = new BlockCount(total, options.onProgress);
  const run = async (side: Side, what: string) => {
    const onStep = count.steps(sides[side].plan, what);
    return (await painter.paint(subjects, { ...sides[side].options, signal, onStep })).report;
  };

  const { peakCachedBytes } = await run('cached', 'warm-up');
  const pairs = await interleaved(runs, (side, pair) => run(side, `${side}, pair ${pair + 1} of ${runs}`));
  return {
    macsRatio: cached.macs.macsRatio,
    ...pairTimes(pairs, cached.plan),
    macs: { uncached: uncached.macs, cached: cached.macs },
    ...cached.setting,
    peakCachedBytes,
    parameters: pipe.transformer.countParams(),
    ...{ numInferenceSteps, batchSize, subjects },
    cache: cache.name,
  };
}

interface PlannedRun {
  readonly options: PaintOptions;
  readonly plan: CachePlan;
  readonly macs: PlanCost;
  readonly setting: ReportedRun;
}

async function planned(painter: Painter, subjects: readonly string[], options: PaintOptions): Promise<PlannedRun> {
  const described = await painter.describe(subjects, options);
  const { plan, macs } = described;
  if (!plan || !macs) throw new RangeError('only a run with a block runner of its own has no plan');
  return { options, plan, macs, setting: reportedRun(described) };
}
