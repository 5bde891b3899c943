import { OptionError } from '../errors.ts';
import {
  type CachePlan,
  type CachePolicy,
  DIT_DEFAULTS,
  ditCost,
  drawPlan,
  type ModelCost,
  type OpenedCheckpoint,
  openCheckpoint,
  PIXART_DEFAULTS,
  planCost,
  uncachedPlan,
} from '../index.ts';
import { DIT_BRANCHES } from '../models/dit-config.ts';
import { PIXART_BRANCHES } from '../models/pixart-config.ts';
import { type PlanOptions, planOf } from '../pipelines/run-plan.ts';
import type { SamplerName } from '../schedulers/samplers.ts';
import { type CaptionedCost, captionedCost } from './captioned-cost.ts';
import { findModelAndParts } from './find-model.ts';
import { refuseUnreadLayout } from './model-options.ts';
import { checkSubjects, modelName, type PainterOptions } from './open-painter.ts';

interface ExplainOptions extends PainterOptions {
  readonly class?: readonly string[];
  readonly prompt?: readonly string[];
  readonly steps?: number;
  readonly timesteps?: readonly number[];
  readonly sampler?: SamplerName;
  readonly cfgScale?: number;
  readonly guidanceScale?: number;
  readonly json?: boolean;
}

/** Prints the plan of steps × blocks and its MACs; reads no weights. */
export async function explain(options: ExplainOptions, cache: CachePolicy | 'auto' | undefined): Promise<void> {
  const named = options.prompt ? 'prompt' : options.class && 'class';
  const found = await findModelAndParts(modelName(options, named ?? 'class'), options);
  refuseUnreadLayout(found.path, options);
  const checkpoint = await openCheckpoint(found.path, found.options);
  try {
    const isDiT = checkpoint.pipeline === 'DiTPipeline';
    checkSubjects(checkpoint, named ?? (isDiT ? 'class' : 'prompt'), options);
    const defaults = isDiT ? DIT_DEFAULTS : PIXART_DEFAULTS;
    const explained = await costOf(checkpoint, options);
    const model = {
      depth: checkpoint.transformer.config.depth,
      branches: isDiT ? DIT_BRANCHES : PIXART_BRANCHES,
      scheduler: checkpoint.scheduler,
      defaults: { ...defaults, ...checkpoint.defaults },
      sha256: checkpoint.sha256,
      cachePlan: checkpoint.cachePlan,
    };
    const name = cache === 'auto' ? cache : (cache?.name ?? null);
    const plan = planOf(model, { ...planOptionsOf(options, explained), cache });
    if (!plan) throw undecided(name);
    const say = options.json ? planJson : planText;
    console.log(say(name, plan, explained));
  } finally {
    await checkpoint.close();
  }
}

function planOptionsOf(options: ExplainOptions, explained: ExplainedCost): PlanOptions {
  const { steps: numInferenceSteps, timesteps, sampler, cfgScale: guidanceScale = options.guidanceScale } = options;
  const isSized = 'caption' in explained;
  const painted = isSized ? { width: explained.paintedWidth, height: explained.paintedHeight } : undefined;
  return { numInferenceSteps, timesteps, sampler, guidanceScale, painted };
}

function undecided(name: string | null): OptionError {
  return new OptionError(
    `--explain: ${name} decides as it runs, so that there is no plan before; the report of a run (--json) says what each step computed`,
  );
}

type ExplainedCost = CaptionedCost | { readonly cost: ModelCost };

async function costOf(checkpoint: OpenedCheckpoint, options: ExplainOptions): Promise<ExplainedCost> {
  if (checkpoint.pipeline === 'DiTPipeline') return { cost: ditCost(checkpoint.transformer.config) };
  const { guidanceScale = PIXART_DEFAULTS.guidanceScale } = checkpoint.defaults;
  const isGuided = (options.cfgScale ?? options.guidanceScale ?? guidanceScale) > 1;
  return captionedCost(checkpoint, options, isGuided);
}

function planText(cache: string | null, plan: CachePlan, explained: ExplainedCost): string {
  const { macs, uncachedMacs } = costs(plan, explained);
  const giga = (count: number) => `${(count / 1e9).toFixed(3)} G`;
  return [
    `${cache ?? 'no cache'}: steps from noise, one column a block; # computed, + computed and recorded, . reused, - reused in part`,
    drawPlan(plan),
    'MACs of the blocks, one picture, one guidance half (uncached):',
    `  linear layers   ${giga(macs.linear)} (${giga(uncachedMacs.linear)})`,
    `  with attention  ${giga(macs.withAttention)} (${giga(uncachedMacs.withAttention)})`,
    `  ${macs.macsRatio.toFixed(2)}× fewer`,
    ...('caption' in explained ? [`  ${sizeText(explained)}`] : []),
  ].join('\n');
}

function sizeText({ paintedWidth, paintedHeight, captionLength, caption }: CaptionedCost): string {
  const whose = {
    prompts: 'what the prompts have',
    longest: 'the longest that the model takes; --prompt counts its own',
    'no tokenizer': 'the longest that the model takes: without a tokenizer the prompts’ own are not known',
  }[caption];
  return `painted at ${paintedWidth} × ${paintedHeight} px, ${captionLength} caption tokens (${whose})`;
}

function planJson(cache: string | null, plan: CachePlan, explained: ExplainedCost): string {
  const { cost: _, ...size } = explained;
  return JSON.stringify({ cache, plan, ...costs(plan, explained), ...size });
}

function costs(plan: CachePlan, { cost }: ExplainedCost) {
  const uncached = uncachedPlan({ ...plan, numInferenceSteps: plan.steps.length });
  return { macs: planCost(plan, cost), uncachedMacs: planCost(uncached, cost) };
}
