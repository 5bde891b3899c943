import { OptionError } from '../../errors.ts';
import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import { branchSites, planReuse } from '../reuse-table.ts';

/**
 * What a router learned, before its sigmoid: [T][2·depth], of each block the attention and then the MLP. The first row is
 * of the last step, as its timesteps count up.
 */
export type RouterScores = readonly (readonly number[])[];

export interface LearningToCacheOptions {
  /** θ: what a site must exceed to be computed. Default 0.1, the authors' for DiT-XL/2 at 256 pixels. */
  readonly threshold?: number;
}

/**
 * Learning-to-Cache (arXiv 2406.01733; `load_ranking` and `forward` of github.com/horseee/learning-to-cache,
 * DiT/models/dynamic_models.py): counting down to 0, odd steps are full; at even ones a branch is held where the sigmoid
 * of its score does not exceed θ. The first step is full.
 */
export function learningToCache(scores: RouterScores, options: LearningToCacheOptions = {}): StaticPolicy {
  return routed('learning-to-cache', scores, options, (count) => count % 2 === 1);
}

/**
 * HarmoniCa (arXiv 2410.01723; `load_ranking` and `forward` of github.com/ModelTC/HarmoniCa, models/dynamic_models.py):
 * a router in the file of Learning-to-Cache, trained with what it does to the picture, and followed at every step but the
 * first: a branch is held where the sigmoid of its score does not exceed θ. The authors publish no router; θ = 0.1 is
 * their README's.
 */
export function harmoniCa(scores: RouterScores, options: LearningToCacheOptions = {}): StaticPolicy {
  return routed('harmonica', scores, options, () => false);
}

/** @param isFull of a step, counted down to 0 */
function routed(
  name: string,
  scores: RouterScores,
  { threshold = 0.1 }: LearningToCacheOptions,
  isFull: (count: number) => boolean,
): StaticPolicy {
  return {
    name,
    madeFor: { numInferenceSteps: scores.length },
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps } = setting;
      const sites = branchSites(setting);
      checkFits(name, scores, setting);
      const held = (row: readonly number[]) => sites.filter((_, i) => sigmoid(row[i] ?? 0) <= threshold);
      const reuseAt = (step: number) => {
        const count = numInferenceSteps - 1 - step;
        return step === 0 || isFull(count) ? [] : held(scores[count] ?? []);
      };
      return planReuse({ ...setting, keeps: 'output', reuseAt });
    },
  };
}

function checkFits(name: string, scores: RouterScores, { numInferenceSteps, depth, branches }: PlanSetting): void {
  const isOfModel = branches.join() === 'self,mlp' && scores.every(({ length }) => length === 2 * depth);
  if (scores.length === numInferenceSteps && isOfModel) return;
  throw new OptionError(
    `cache ${name}: a router of ${scores.length} steps and ${scores[0]?.length ?? 0} sites; this run has ${numInferenceSteps} steps, and a model of ${depth} blocks of ${branches.join(', ')}; take the router of this model and as many steps`,
  );
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
