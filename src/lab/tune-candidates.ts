import type { PlanSetting } from '../cache/plan.ts';
import { forecast } from '../cache/policies/forecast.ts';
import { deltaCache } from '../cache/policies/span-cache.ts';
import type { PredictorSpec } from '../cache/predictors/predictor.ts';
import type { SamplerName } from '../schedulers/samplers.ts';
import { cached, distinct, type LabMethod, uncached } from './lab-method.ts';

/** Solvers that take timesteps and add no noise; the best of them differs from model to model. */
const SOLVERS: readonly SamplerName[] = ['dpm-solver++', 'deis', 'unipc'];

/** Of the forecast, by name: the line, and a parabola that is exact at any spacing. */
const PREDICTORS: readonly (readonly [string, PredictorSpec])[] = [
  ['', { name: 'taylor', order: 1 }],
  [', newton:2', { name: 'newton', order: 2 }],
];

/**
 * Ways to sample that cost at most about `evaluations` of the whole model: fewer steps of each solver, the forecast on
 * grids up to four times finer, and the front span predicted by a line.
 */
export function tuneCandidates(evaluations: number, { depth }: Pick<PlanSetting, 'depth'>): readonly LabMethod[] {
  const most = Math.floor(evaluations + 1e-9);
  return distinct(
    SOLVERS.flatMap((sampler) => [
      ...plain(sampler, most),
      ...forecasts(sampler, most),
      ...fronts(sampler, evaluations, depth),
    ]),
  );
}

function plain(sampler: SamplerName, most: number): readonly LabMethod[] {
  return most >= 1 ? [uncached(sampler, most)] : [];
}

/** The largest grid of each interval that asks the model at most `most` times: every N-th step, and the last. */
function forecasts(sampler: SamplerName, most: number): readonly LabMethod[] {
  return [2, 3, 4].flatMap((interval) => {
    const steps = (most - 1) * interval; // the last step is one of its own
    if (steps <= interval) return [];
    return PREDICTORS.map(([detail, predictor]) =>
      cached(forecast({ interval, predictor }), sampler, steps, `N=${interval}${detail}`),
    );
  });
}

/** T steps of which every other one skips the front span of 7/8 of the blocks. */
function fronts(sampler: SamplerName, evaluations: number, depth: number): readonly LabMethod[] {
  const cachedBlocks = Math.round((7 * depth) / 8);
  const steps = Math.floor(evaluations / (1 - cachedBlocks / depth / 2));
  if (steps < 4) return [];
  const predictor = { name: 'taylor', order: 1 } as const;
  return [
    cached(deltaCache({ region: 'front', cachedBlocks, predictor }), sampler, steps, `N_c=${cachedBlocks}, linear`),
  ];
}
