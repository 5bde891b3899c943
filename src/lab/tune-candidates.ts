import type { PlanSetting } from '../cache/plan.ts';
import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { fora } from '../cache/policies/fora.ts';
import { forecast } from '../cache/policies/forecast.ts';
import { deltaCache, type Region } from '../cache/policies/span-cache.ts';
import type { CachePolicy } from '../cache/policy.ts';
import type { PredictorSpec } from '../cache/predictors/predictor.ts';
import type { BranchName } from '../models/block.ts';
import type { SamplerName } from '../schedulers/samplers.ts';
import { cached, distinct, type LabMethod, uncached } from './lab-method.ts';

/** Solvers that take timesteps and add no noise; the best of them differs from model to model. */
export const SOLVERS: readonly SamplerName[] = ['dpm-solver++', 'deis', 'unipc'];

/** By name: the line, and a parabola that is exact at any spacing. */
const PREDICTORS: readonly (readonly [string, PredictorSpec])[] = [
  ['linear', { name: 'taylor', order: 1 }],
  ['newton:2', { name: 'newton', order: 2 }],
];
const LINE = { name: 'taylor', order: 1 } as const;
const REGIONS: readonly Region[] = ['front', 'middle', 'rear'];
/** Parts of the depth. */
const WIDTHS = [1 / 2, 3 / 4, 7 / 8] as const;
/** A grid beyond this is no finer where it matters, and plans of it are long. */
const MOST_STEPS = 160;

/** Whether a way to sample is fast enough. */
export type Fits = (method: LabMethod) => boolean;

/** Solvers without a cache, and with the whole model predicted at most steps. */
export function modelCandidates(fits: Fits): readonly LabMethod[] {
  return SOLVERS.flatMap((sampler) => [
    ...largest(1, fits, (steps) => uncached(sampler, steps)),
    ...[2, 3, 4].flatMap((interval) =>
      PREDICTORS.flatMap(([name, predictor]) =>
        largest(interval, fits, (steps) =>
          cached(forecast({ interval, predictor }), sampler, steps, `N=${interval} ${name}`),
        ),
      ),
    ),
  ]);
}

/** Under one solver the residuals of spans, one all along or two one after the other, and of branches, all or of one kind. */
export function blockCandidates(
  sampler: SamplerName,
  { depth, branches }: Pick<PlanSetting, 'depth' | 'branches'>,
  fits: Fits,
): readonly LabMethod[] {
  const widths = cachedBlocksOf(depth);
  const kinds = branches.length > 1 ? [branches, ...branches.map((name) => [name])] : [branches];
  const each = (make: (interval: number, predictor: PredictorSpec) => CachePolicy, detail: string) =>
    [2, 3].flatMap((interval) =>
      PREDICTORS.flatMap(([name, predictor]) =>
        largest(interval, fits, (steps) =>
          cached(make(interval, predictor), sampler, steps, `${detail} N=${interval} ${name}`),
        ),
      ),
    );
  return distinct([
    ...REGIONS.flatMap((region) =>
      widths.flatMap((cachedBlocks) =>
        each((interval, predictor) => deltaCache({ region, cachedBlocks, interval, predictor }), `N_c=${cachedBlocks}`),
      ),
    ),
    ...kinds.flatMap((kind: readonly BranchName[]) =>
      each((interval, predictor) => fora({ interval, predictor, branches: kind }), kind.join('+')),
    ),
    ...stagedSpans(sampler, depth, fits),
  ]);
}

/** Δ-DiT with a line through its residuals: rear then front, as it is, and the other way round. */
function stagedSpans(sampler: SamplerName, depth: number, fits: Fits): readonly LabMethod[] {
  const cachedBlocks = Math.max(1, Math.round((3 * depth) / 4));
  const last = depth - cachedBlocks;
  const orders = [
    ['rear-front', { frontOffset: 0, rearOffset: last }],
    ['front-rear', { frontOffset: last, rearOffset: 0 }],
  ] as const;
  return orders.flatMap(([order, offsets]) =>
    [0.3, 0.6].flatMap((share) =>
      largest(2, fits, (steps) => {
        const stageBound = Math.round(share * steps);
        const cache = deltaDiT({ cachedBlocks, stageBound, ...offsets, predictor: LINE });
        return cached(cache, sampler, steps, `${order} b=${stageBound} N_c=${cachedBlocks} linear`);
      }),
    ),
  );
}

/** N_c of the widths that are tried. */
export function cachedBlocksOf(depth: number): readonly number[] {
  return [...new Set(WIDTHS.map((share) => Math.max(1, Math.round(share * depth))))];
}

/** Of T = k·N + 1, the last step being full, the largest that fits; none where no T does. */
export function largest(interval: number, fits: Fits, make: (steps: number) => LabMethod): readonly LabMethod[] {
  const at = (periods: number) => make(periods * interval + 1);
  let [fewest, most] = [interval > 1 ? 2 : 0, Math.floor((MOST_STEPS - 1) / interval)];
  if (!fits(at(fewest))) return [];
  while (fewest < most) {
    const middle = Math.ceil((fewest + most) / 2);
    if (fits(at(middle))) fewest = middle;
    else most = middle - 1;
  }
  return [at(fewest)];
}
