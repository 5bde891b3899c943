import type { PlanSetting } from '../../src/cache/plan.ts';
import { adaCache } from '../../src/cache/policies/ada-cache.ts';
import { adaptiveDelta } from '../../src/cache/policies/adaptive-delta.ts';
import { dbCache } from '../../src/cache/policies/db-cache.ts';
import { dbPrune } from '../../src/cache/policies/db-prune.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { easyCache } from '../../src/cache/policies/easy-cache.ts';
import { fasterDiffusion } from '../../src/cache/policies/faster-diffusion.ts';
import { firstBlockCache } from '../../src/cache/policies/first-block-cache.ts';
import { fora } from '../../src/cache/policies/fora.ts';
import { forecast } from '../../src/cache/policies/forecast.ts';
import { pyramidAttentionBroadcast } from '../../src/cache/policies/pyramid-attention-broadcast.ts';
import { deltaCache, featureCache } from '../../src/cache/policies/span-cache.ts';
import { speCa } from '../../src/cache/policies/spe-ca.ts';
import { taylorSeer } from '../../src/cache/policies/taylor-seer.ts';
import { teaCache } from '../../src/cache/policies/tea-cache.ts';
import { type CachePolicy, isStatic } from '../../src/cache/policy.ts';
import { predictorOf } from '../../src/cache/predictors/named.ts';
import { siteKey } from '../../src/cache/site.ts';

/** A method of the conformance suite. */
export interface PolicyCase {
  /** Caches something in 6 or more steps of a model of 3 blocks; rows that change at their own speed decide differently. */
  readonly active: CachePolicy;
  /** The same for random models, whose steps differ more; the same where left out. */
  readonly bold?: CachePolicy;
  /** The same method set so that it caches nothing. */
  readonly idle: CachePolicy;
  /** Of a method that decides as it runs: the tensors of tokens that it keeps; of latents, where it skips the model. */
  readonly keeps?: (setting: PlanSetting) => number;
}

/** Every method there is, made afresh. */
export const policyCases = (): Readonly<Record<string, PolicyCase>> => ({
  'delta-dit': { active: deltaDiT({ cachedBlocks: 2 }), idle: deltaDiT({ interval: 1 }) },
  'delta-cache': {
    active: deltaCache({ region: 'middle', cachedBlocks: 1 }),
    idle: deltaCache({ region: 'rear', interval: 1 }),
  },
  'feature-cache': {
    active: featureCache({ region: 'front', cachedBlocks: 2 }),
    idle: featureCache({ region: 'front', interval: 1 }),
  },
  'faster-diffusion': {
    active: fasterDiffusion({ keySteps: [0, 1, 3], cachedBlocks: 2 }),
    idle: fasterDiffusion({ interval: 1 }),
  },
  fora: { active: fora({ interval: 2 }), idle: fora({ interval: 1 }) },
  taylorseer: { active: taylorSeer({ interval: 2, order: 2 }), idle: taylorSeer({ interval: 1 }) },
  pab: {
    active: pyramidAttentionBroadcast({ crossRange: 3 }),
    idle: pyramidAttentionBroadcast({ selfRange: 1, crossRange: 1 }),
  },
  forecast: { active: forecast(), idle: forecast({ interval: 1 }) },
  teacache: {
    active: teaCache({ threshold: 0.025 }),
    bold: teaCache({ threshold: 1, halves: 'together' }),
    idle: teaCache({ threshold: 0 }),
    keeps: () => 2,
  },
  'first-block-cache': {
    active: firstBlockCache({ threshold: 0.1 }),
    bold: firstBlockCache({ threshold: 1.2, halves: 'together' }),
    idle: firstBlockCache({ threshold: 0 }),
    keeps: () => 2,
  },
  dbcache: {
    active: dbCache({
      threshold: 0.1,
      firstBlocks: 1,
      lastBlocks: 1,
      warmUpSteps: 2,
      predictor: { name: 'taylor', order: 1 },
    }),
    bold: dbCache({ threshold: 1.2, firstBlocks: 2, warmUpSteps: 1, maxConsecutive: 2 }),
    idle: dbCache({ threshold: 0 }),
    keeps: () => 3,
  },
  dbprune: {
    active: dbPrune({ threshold: 0.1, firstBlocks: 1, warmUpSteps: 2 }),
    bold: dbPrune({ threshold: 1, firstBlocks: 1, warmUpSteps: 1, tunesItself: true, halves: 'together' }),
    idle: dbPrune({ threshold: 0, firstBlocks: 1, warmUpSteps: 0 }),
    keeps: ({ depth }) => 2 * (depth - 1),
  },
  easycache: {
    active: easyCache({ threshold: 0.12, warmUpSteps: 2 }),
    bold: easyCache({ threshold: 3, warmUpSteps: 2 }),
    idle: easyCache({ threshold: 0 }),
    keeps: () => 4,
  },
  adacache: {
    active: adaCache(),
    bold: adaCache({ codebook: [{ below: 10, steps: 2 }], watchedBlock: 0, halves: 'together' }),
    idle: adaCache({ codebook: [{ below: 1, steps: 1 }] }),
    keeps: () => 2,
  },
  'adaptive-delta': {
    active: adaptiveDelta({ tolerance: 0.1, cachedBlocks: 2 }),
    bold: adaptiveDelta({ tolerance: 5, cachedBlocks: 2, region: 'rear' }),
    idle: adaptiveDelta({ tolerance: 0 }),
    keeps: () => 2,
  },
  speca: {
    active: speCa({ order: 2, baseThreshold: 0.025, decay: 1, minPredictions: 1 }),
    idle: speCa({ maxPredictions: 0 }),
    keeps: ({ depth, branches }) => 3 * depth * branches.length,
  },
});

/** How many tensors a method may keep: of tokens, or of latents where it skips the model. */
export function tensorsKept({ active, keeps }: PolicyCase, setting: PlanSetting): number {
  if (!isStatic(active)) return keeps?.(setting) ?? 0;
  const plan = active.plan(setting);
  const sites = new Set(plan.steps.flatMap(({ record }) => record.map(siteKey)));
  return sites.size * predictorOf(plan.predictor).history;
}

/** Whether a method skips the whole model. */
export function skipsModel(policy: CachePolicy, setting: PlanSetting): boolean {
  if (!isStatic(policy)) return policy.begin(setting).model !== undefined;
  return policy.plan(setting).steps.some(({ reuse }) => reuse.some(({ kind }) => kind === 'model'));
}

/** Whether a method holds what a span or the model gave, instead of what it added: then its input does not enter. */
export function holdsOutput(policy: CachePolicy, setting: PlanSetting): boolean {
  if (!isStatic(policy)) return false;
  const { keeps, steps } = policy.plan(setting);
  return keeps !== 'delta' && steps.some(({ reuse }) => reuse.some(({ kind }) => kind !== 'branch'));
}
