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
export function learningToCache(scores: RouterScores, { threshold = 0.1 }: LearningToCacheOptions = {}): StaticPolicy {
  return {
    name: 'learning-to-cache',
    madeFor: { numInferenceSteps: scores.length },
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps, depth, branches } = setting;
      const sites = branchSites(setting);
      const isOfModel = branches.join() === 'self,mlp' && scores.every(({ length }) => length === sites.length);
      if (scores.length !== numInferenceSteps || !isOfModel) {
        throw new OptionError(
          `cache learning-to-cache: a router of ${scores.length} steps and ${scores[0]?.length ?? 0} sites; this run has ${numInferenceSteps} steps, and a model of ${depth} blocks of ${branches.join(', ')}; take the router of this model and as many steps`,
        );
      }
      return planReuse({
        ...setting,
        keeps: 'output',
        reuseAt: (step) => {
          const count = numInferenceSteps - 1 - step;
          if (step === 0 || count % 2 === 1) return [];
          const row = scores[count] ?? [];
          return sites.filter((_, i) => sigmoid(row[i] ?? 0) <= threshold);
        },
      });
    },
  };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
