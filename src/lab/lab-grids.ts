import type { PlanSetting } from '../cache/plan.ts';
import { adaCache } from '../cache/policies/ada-cache.ts';
import { adaptiveDelta } from '../cache/policies/adaptive-delta.ts';
import { dbCache } from '../cache/policies/db-cache.ts';
import { dbPrune } from '../cache/policies/db-prune.ts';
import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { easyCache } from '../cache/policies/easy-cache.ts';
import { fasterDiffusion } from '../cache/policies/faster-diffusion.ts';
import { firstBlockCache } from '../cache/policies/first-block-cache.ts';
import { fora } from '../cache/policies/fora.ts';
import { forecast } from '../cache/policies/forecast.ts';
import { pyramidAttentionBroadcast } from '../cache/policies/pyramid-attention-broadcast.ts';
import { deltaCache, featureCache } from '../cache/policies/span-cache.ts';
import { speCa } from '../cache/policies/spe-ca.ts';
import { taylorSeer } from '../cache/policies/taylor-seer.ts';
import { teaCache } from '../cache/policies/tea-cache.ts';
import type { CachePolicy } from '../cache/policy.ts';
import { parsePredictor } from '../cache/predictors/named.ts';
import { OptionError } from '../errors.ts';
import type { SamplerName } from '../schedulers/samplers.ts';
import { cached, distinct, type LabMethod, uncached } from './lab-method.ts';

/** What a grid is laid for. */
export interface GridSetting extends Pick<PlanSetting, 'numInferenceSteps' | 'depth'> {
  /** Of the paper's comparison: the checkpoint's own. */
  readonly sampler: SamplerName;
  /**
   * Uncached DDIM steps of the pictures that all are judged by. Default 250, as facebookresearch/DiT samples. Of a model
   * for the LCM sampler, which has no more to converge to, steps of that one; default 8.
   */
  readonly referenceSteps?: number | undefined;
}

/** Methods to compare, and what they are compared with. */
export interface LabGrid {
  readonly methods: readonly LabMethod[];
  /** What ratios refer to. */
  readonly baseline: LabMethod;
  /** Gives the pictures that a run of endless steps would. */
  readonly converged: LabMethod;
  /** What the paper's methods change: the checkpoint's own sampler, at T steps. */
  readonly compared: LabMethod;
}

export const GRID_NAMES = ['paper', 'sweep', 'frontier', 'methods', 'deltas'] as const;
export type GridName = (typeof GRID_NAMES)[number];

const REFERENCE_STEPS = 250;
const LCM_REFERENCE_STEPS = 8;
/** Up to so many steps Δ-DiT caches few blocks (Table 3). */
const FEW_STEPS = 8;
/** The solvers that a cache competes with. */
const SOLVERS: readonly SamplerName[] = ['ddim', 'dpm-solver++', 'unipc', 'deis'];

/** @param others methods of one's own @throws OptionError for an unknown name */
export function labGrid(names: readonly GridName[], setting: GridSetting, others: readonly LabMethod[] = []): LabGrid {
  const solver = setting.sampler === 'lcm' ? 'lcm' : 'ddim';
  const baseline = uncached(solver, setting.numInferenceSteps);
  const { numInferenceSteps, referenceSteps = solver === 'lcm' ? LCM_REFERENCE_STEPS : REFERENCE_STEPS } = setting;
  if (referenceSteps <= numInferenceSteps)
    throw new OptionError(
      `referenceSteps: expected more than the ${numInferenceSteps} steps it judges, got ${referenceSteps}`,
    );
  const converged = uncached(solver, referenceSteps);
  const methods = names.flatMap((name) => gridOf(name)(setting));
  const compared = uncached(setting.sampler, numInferenceSteps);
  return { baseline, converged, compared, methods: distinct([converged, baseline, ...methods, ...others]) };
}

function gridOf(name: GridName): (setting: GridSetting) => readonly LabMethod[] {
  const grids = {
    paper: paperGrid,
    sweep: sweepGrid,
    frontier: frontierGrid,
    methods: methodsGrid,
    deltas: deltasGrid,
  };
  if (!GRID_NAMES.includes(name))
    throw new OptionError(`grid: expected ${GRID_NAMES.join(', ')}; got ${JSON.stringify(name)}`);
  return grids[name];
}

/**
 * Tables 1 to 4 of Δ-DiT (arXiv 2406.01125): one region at a time, the feature cache, Faster Diffusion, Δ-DiT, and the steps
 * that cost as much as it does (13 of 20 in the paper; 12 cost a little less). Of few steps, the two N_c of Table 3.
 */
function paperGrid({ numInferenceSteps: steps, depth, sampler }: GridSetting): readonly LabMethod[] {
  const caches = [
    ...(['front', 'middle', 'rear'] as const).map((region) => deltaCache({ region })),
    ...(['front', 'rear'] as const).map((region) => featureCache({ region })),
    deltaDiT(),
  ];
  const fewer = [Math.ceil(steps / 1.6), Math.floor(steps / 1.6)].filter((count) => count >= 1);
  const ofFewSteps = [4, 6].map((blocks) => Math.round((blocks / 28) * depth));
  return [
    uncached(sampler, steps),
    ...caches.map((cache) => cached(cache, sampler, steps)),
    cached(fasterDiffusion({ interval: 2 }), sampler, steps, 'N=2'),
    ...(steps > FEW_STEPS ? [] : ofFewSteps).map((cachedBlocks) =>
      cached(deltaDiT({ cachedBlocks }), sampler, steps, `N_c=${cachedBlocks}`),
    ),
    ...fewer.map((count) => uncached(sampler, count)),
  ];
}

/** Fig. 5: b at the default N_c, and N_c at the default b. */
function sweepGrid({ numInferenceSteps: steps, depth, sampler }: GridSetting): readonly LabMethod[] {
  const bounds = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => Math.round(share * steps));
  const counts = [0.25, 0.5, 0.625, 0.75, 0.875, 1].map((share) => Math.round(share * depth));
  return [
    uncached(sampler, steps),
    ...bounds.map((stageBound) => cached(deltaDiT({ stageBound }), sampler, steps, `b=${stageBound}`)),
    ...counts.map((cachedBlocks) => cached(deltaDiT({ cachedBlocks }), sampler, steps, `N_c=${cachedBlocks}`)),
  ];
}

/** Steps of every solver, and the model skipped on finer grids. */
function frontierGrid({ numInferenceSteps: steps }: GridSetting): readonly LabMethod[] {
  const counts = [0.3, 0.4, 0.5, 0.55, 0.65, 0.8, 1, 1.25, 1.5].map((share) => Math.round(share * steps));
  const forecasts = (
    [
      [1, 3],
      [1, 2],
      [2, 4],
      [2, 3],
      [1.6, 2],
      [2, 2],
    ] as const
  ).map(([factor, interval]) => ({ count: Math.round(factor * steps), interval }));
  return [
    ...SOLVERS.flatMap((sampler) => counts.map((count) => uncached(sampler, count))),
    ...(['dpm-solver++', 'deis', 'unipc'] as const).flatMap((sampler) =>
      forecasts.map(({ count, interval }) => cached(forecast({ interval }), sampler, count, `N=${interval}`)),
    ),
  ];
}

/** The field on one page: a row a method and setting, beside the steps that it competes with. */
function methodsGrid(setting: GridSetting): readonly LabMethod[] {
  const { numInferenceSteps: steps, sampler } = setting;
  const of = (cache: CachePolicy, detail = '') => cached(cache, sampler, steps, detail);
  const warmUpSteps = Math.round(steps / 5); // published for 28 and 50 steps: as large a part of fewer
  const linear = { name: 'taylor', order: 1 } as const;
  return [
    ...paperGrid(setting),
    of(deltaCache({ region: 'front', predictor: linear }), 'linear'),
    of(deltaDiT({ predictor: linear }), 'linear'),
    of(fora({ interval: 2 }), 'N=2'),
    of(fora({ interval: 3 }), 'N=3'),
    of(taylorSeer({ interval: 3, order: 2 }), 'N=3 O=2'),
    of(pyramidAttentionBroadcast()),
    of(teaCache({ threshold: 0.1 }), 'τ=0.1'),
    of(firstBlockCache({ threshold: 0.1, warmUpSteps }), 'τ=0.1'),
    of(dbCache({ threshold: 0.15, warmUpSteps, predictor: linear }), 'τ=0.15 linear'),
    of(dbPrune({ threshold: 0.1, warmUpSteps }), 'τ=0.1'),
    of(easyCache({ threshold: 0.1, warmUpSteps }), 'τ=0.1'),
    of(adaCache({ codebook: 'slow' }), 'slow'),
    of(adaptiveDelta({ tolerance: 0.05 }), 'τ=0.05'),
    of(speCa({ order: 2, warmUpSteps: 3 }), 'O=2'),
    ...[sampler, 'deis' as const].map((name) => cached(forecast({ interval: 2 }), name, steps, 'N=2')),
    cached(forecast({ interval: 3 }), 'deis', 2 * steps, 'N=3'),
    cached(forecast({ interval: 4 }), 'deis', 2 * steps, 'N=4'),
    ...(['dpm-solver++', 'unipc', 'deis'] as const).flatMap((name) =>
      [steps, Math.round(0.65 * steps), Math.round(0.55 * steps)].map((count) => uncached(name, count)),
    ),
  ];
}

/** Predictors of a residual, as the table calls them. */
const DELTA_PREDICTORS = ['hold', 'taylor:1', 'newton:2', 'adams-bashforth:2', 'chebyshev:2'] as const;

/**
 * What is predicted, where, and how far ahead: five predictors on the residual of the front, middle and rear span and on
 * all branches, the attentions, the MLPs; the best two of them on grids 2 and 5 times finer. T is 1 more than a multiple
 * of N, so that the last step is full.
 */
function deltasGrid({ numInferenceSteps, sampler: own }: GridSetting): readonly LabMethod[] {
  const sampler = own === 'ddim' ? 'dpm-solver++' : own; // a held value breaks the differences of a multistep solver
  const stepsOf = (interval: number, factor: number) =>
    interval * Math.max(1, Math.floor((factor * numInferenceSteps) / interval)) + 1;
  const of = (interval: number, factor: number, predictors: readonly string[]) =>
    predictors.flatMap((name) => {
      const [steps, predictor] = [stepsOf(interval, factor), parsePredictor(name)];
      const detail = `N=${interval} ${name}`;
      const spans = (['front', 'middle', 'rear'] as const).map((region) => deltaCache({ region, interval, predictor }));
      const kinds = [['self', 'mlp'], ['self'], ['mlp']] as const;
      return [
        ...spans.map((cache) => cached(cache, sampler, steps, detail)),
        ...kinds.map((branches) =>
          cached(fora({ interval, predictor, branches }), sampler, steps, `${branches.join('+')} ${detail}`),
        ),
      ];
    });
  const settings = [2, 3].map((interval) => [interval, 1] as const);
  const finer = [
    [4, 2],
    [6, 5],
  ] as const;
  const steps = [...settings, ...finer].map(([interval, factor]) => stepsOf(interval, factor));
  const fewer = [0.4, 0.55, 0.65, 0.8].map((share) => Math.round(share * numInferenceSteps));
  return [
    ...[...fewer, ...steps].map((count) => uncached(sampler, count)),
    ...settings.flatMap(([interval, factor]) => of(interval, factor, DELTA_PREDICTORS)),
    ...finer.flatMap(([interval, factor]) => of(interval, factor, ['taylor:1', 'newton:2'])),
  ];
}
