import { type PlanCost, planCost } from '../cache/cost.ts';
import { type CachePlan, type CachePolicy, countBlocks } from '../cache/plan.ts';
import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import { ditCost } from '../models/dit-config.ts';
import type { DiTGenerateOptions, DiTPipeline } from '../pipelines/dit-pipeline.ts';
import type { GenerationReport } from '../pipelines/report.ts';
import { interleaved, type PairTimes, pairTimes, type Side } from './bench-pairs.ts';
import { type BenchProgress, BlockCount } from './bench-progress.ts';

export interface LatencyOptions
  extends Pick<DiTGenerateOptions, 'numInferenceSteps' | 'guidanceScale' | 'sampler' | 'signal'> {
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
export interface LatencyReport
  extends PairTimes,
    Pick<GenerationReport, 'model' | 'backend' | 'numerics' | 'sampler' | 'guidanceScale' | 'peakCachedBytes'> {
  /** Uncached ÷ cached, counting the blocks alone: 1.6 for the paper's T = 20, N = 2, N_c = 21 of 28. */
  readonly macsRatio: number;
  /** Of the blocks, for one sample and guidance half. */
  readonly macs: { readonly uncached: PlanCost; readonly cached: PlanCost };
  readonly parameters: number;
  readonly numInferenceSteps: number;
  readonly batchSize: number;
  readonly cache: string;
}

const MAX_RUNS = 1000;
const MAX_BATCH_SIZE = 256;

/**
 * Times a cache method against the uncached model: after a cached run that is not counted, pairs of an uncached and a
 * cached run in one process, in alternating order, so that a machine that is shared or grows warm favours neither.
 * @throws OptionError for runs, batchSize or an option of `generate` out of range; AbortError when stopped.
 */
export async function benchLatency(pipe: DiTPipeline, options: LatencyOptions = {}): Promise<LatencyReport> {
  const { runs = 3, batchSize = 1, cache = deltaDiT(), guidanceScale, sampler, signal } = options;
  const { numInferenceSteps = pipe.defaults.numInferenceSteps } = options;
  checkWhole('runs', runs, 1, MAX_RUNS, 'pairs of an uncached and a cached run');
  checkWhole('batchSize', batchSize, 1, MAX_BATCH_SIZE, 'pictures that run together');
  const plans = { uncached: pipe.plan({ numInferenceSteps }), cached: pipe.plan({ numInferenceSteps, cache }) };
  const blocks = (plan: CachePlan) => countBlocks(plan).computed;
  const total = runs * blocks(plans.uncached) + (1 + runs) * blocks(plans.cached); // the warm-up is cached
  const count = new BlockCount(total, options.onProgress);
  const { config } = pipe.transformer;
  const classLabels = Array.from({ length: batchSize }, (_, i) => i % config.numClasses);
  const run = async (side: Side, what: string) => {
    const method = { numInferenceSteps, cache: side === 'cached' ? cache : undefined };
    const onStep = count.steps(plans[side], what);
    const { report } = await pipe.generate({ classLabels, seed: 0, guidanceScale, sampler, signal, ...method, onStep });
    return report;
  };

  await run('cached', 'warm-up');
  const pairs = await interleaved(runs, (side, pair) => run(side, `${side}, pair ${pair + 1} of ${runs}`));
  const cost = ditCost(config);
  const macs = { uncached: planCost(plans.uncached, cost), cached: planCost(plans.cached, cost) };
  return {
    macsRatio: macs.cached.macsRatio,
    ...pairTimes(pairs, plans.cached),
    macs,
    ...settingOf(pairs.map(({ cached }) => cached)),
    parameters: pipe.transformer.countParams(),
    numInferenceSteps,
    batchSize,
    cache: cache.name,
  };
}

function settingOf(
  cached: readonly GenerationReport[],
): Pick<LatencyReport, 'model' | 'backend' | 'numerics' | 'sampler' | 'guidanceScale' | 'peakCachedBytes'> {
  const [{ model, backend, numerics, sampler, guidanceScale, peakCachedBytes }] = cached as [GenerationReport];
  return { model, backend, numerics, sampler, guidanceScale, peakCachedBytes };
}
