import type { PlanCost } from '../cache/cost.ts';
import { countBlocks } from '../cache/plan.ts';
import { deltaDiT } from '../cache/policies/delta-dit.ts';
import type { CachePolicy } from '../cache/policy.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import type { RunDescription } from '../pipelines/report.ts';
import { interleaved, type PairTimes, pairTimes, type Side } from './bench-pairs.ts';
import { type BenchProgress, BlockCount } from './bench-progress.ts';
import { laidSampling } from './laid-sampling.ts';
import { prepareSubjects, type ReportedRun, reportedRun, subjectsInTurn } from './subjects.ts';

export interface LatencyOptions
  extends Pick<PaintOptions, 'numInferenceSteps' | 'timesteps' | 'guidanceScale' | 'sampler' | 'signal'> {
  /** What the pictures are of, in turn: classes or prompts. Default: all classes. */
  readonly subjects?: readonly string[] | undefined;
  /**
   * The method that is timed, or the checkpoint's plan. Default `deltaDiT()`. What the options leave open is as a plan was
   * made for, on the uncached side, too.
   */
  readonly cache?: CachePolicy | 'auto' | undefined;
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
  const { runs = 3, batchSize = 1, cache = deltaDiT(), signal } = options;
  const { pipe } = painter;
  checkWhole('runs', runs, 1, MAX_RUNS, 'pairs of an uncached and a cached run');
  checkWhole('batchSize', batchSize, 1, MAX_BATCH_SIZE, 'pictures that run together');
  const subjects = subjectsInTurn(painter, options.subjects, batchSize);
  const { steps, count, sampler, guidanceScale } = laidSampling(pipe, { ...samplingAsked(options), cache });
  const setting = { ...steps, guidanceScale, sampler, seed: 0 };
  const uncached = await planned(painter, subjects, setting);
  const cached = await planned(painter, subjects, { ...setting, cache });
  const sides = { uncached, cached };
  const depth = pipe.transformer.config.depth;
  const total = runs * uncached.blocks + (1 + runs) * cached.blocks; // the warm-up is cached
  await prepareSubjects(painter, subjects, options);
  const blocks = new BlockCount(total, options.onProgress);
  const run = async (side: Side, what: string) => {
    const onStep = blocks.steps(what);
    return (await painter.paint(subjects, { ...sides[side].options, signal, onStep })).report;
  };

  const { peakCachedBytes } = await run('cached', 'warm-up');
  const pairs = await interleaved(runs, (side, pair) => run(side, `${side}, pair ${pair + 1} of ${runs}`));
  const macs = { uncached: macsOf(pairs[0]?.uncached), cached: macsOf(pairs[0]?.cached) };
  return {
    macsRatio: macs.cached.macsRatio,
    ...pairTimes(pairs, depth),
    macs,
    ...cached.setting,
    peakCachedBytes,
    parameters: pipe.transformer.countParams(),
    ...{ numInferenceSteps: count, batchSize, subjects },
    cache: cached.cache,
  };
}

function samplingAsked({ numInferenceSteps, timesteps, sampler, guidanceScale }: LatencyOptions) {
  return { numInferenceSteps, timesteps, sampler, guidanceScale };
}

/** Of a run that has been made: only a block runner of one's own leaves them unknown. */
function macsOf(report: Pick<RunDescription, 'macs'> | undefined): PlanCost {
  if (!report?.macs) throw new RangeError('a run under a cache method reports its cost');
  return report.macs;
}

interface PlannedRun {
  readonly options: PaintOptions;
  /** Blocks that it will compute; all where the method decides as it runs. */
  readonly blocks: number;
  readonly setting: ReportedRun;
  /** Its name. */
  readonly cache: string;
}

async function planned(painter: Painter, subjects: readonly string[], options: PaintOptions): Promise<PlannedRun> {
  const described = await painter.describe(subjects, options);
  const { plan, timesteps } = described;
  const blocks = plan ? countBlocks(plan).computed : timesteps.length * painter.pipe.transformer.config.depth;
  return { options, blocks, setting: reportedRun(described), cache: described.cache ?? 'none' };
}
