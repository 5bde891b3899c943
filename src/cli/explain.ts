import {
  type CachePlan,
  type CachePolicy,
  type DiTConfig,
  ditCost,
  drawPlan,
  openDiT,
  planCost,
  uncachedPlan,
} from '../index.ts';
import { checkSteps, LINEAR_SCHEDULE } from '../schedulers/noise-schedule.ts';
import { type ModelOptions, modelPath, refuseUnreadLayout } from './model-options.ts';

interface ExplainOptions extends ModelOptions {
  readonly steps?: number;
  readonly json?: boolean;
}

/** Prints the plan of steps × blocks and its MACs; reads no weights. */
export async function explain(options: ExplainOptions, policy: CachePolicy | undefined): Promise<void> {
  const path = modelPath(options.model);
  refuseUnreadLayout(path, options);
  const checkpoint = await openDiT(path, options);
  try {
    const { config } = checkpoint.transformer;
    const { steps = checkpoint.defaults.numInferenceSteps ?? 50 } = options;
    checkSteps(steps, LINEAR_SCHEDULE.numTrainTimesteps);
    const setting = { numInferenceSteps: steps, depth: config.depth };
    const plan = policy?.plan(setting) ?? uncachedPlan(setting);
    const say = options.json ? planJson : planText;
    console.log(say(policy?.name ?? null, plan, config));
  } finally {
    await checkpoint.close();
  }
}

function planText(cache: string | null, plan: CachePlan, config: DiTConfig): string {
  const { macs, uncachedMacs } = costs(plan, config);
  const giga = (count: number) => `${(count / 1e9).toFixed(3)} G`;
  return [
    `${cache ?? 'no cache'}: steps from noise, one column a block; # computed, + computed and recorded, . reused`,
    drawPlan(plan),
    'MACs of the blocks, one picture, one guidance half (uncached):',
    `  linear layers   ${giga(macs.linear)} (${giga(uncachedMacs.linear)})`,
    `  with attention  ${giga(macs.withAttention)} (${giga(uncachedMacs.withAttention)})`,
    `  ${macs.macsRatio.toFixed(2)}× fewer`,
  ].join('\n');
}

function planJson(cache: string | null, plan: CachePlan, config: DiTConfig): string {
  return JSON.stringify({ cache, plan, ...costs(plan, config) });
}

function costs(plan: CachePlan, config: DiTConfig) {
  const uncached = uncachedPlan({ numInferenceSteps: plan.steps.length, depth: plan.depth });
  return { macs: planCost(plan, ditCost(config)), uncachedMacs: planCost(uncached, ditCost(config)) };
}
