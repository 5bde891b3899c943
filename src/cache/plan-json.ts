import * as z from 'zod';
import { DeltaDiTError, FormatError } from '../errors.ts';
import { type CachePlan, checkPlan, type PlanStep } from './plan.ts';
import { predictorOf } from './predictors/named.ts';
import type { PredictorSpec } from './predictors/predictor.ts';
import { recordsFor } from './reuse-table.ts';
import { siteKey } from './site.ts';
import { formatSites, parseSites } from './site-notation.ts';

const whole = z.number().int().nonnegative();
const numbers = z.array(z.number());

const PREDICTOR = z.discriminatedUnion('name', [
  z.strictObject({ name: z.enum(['hold', 'foca', 'dmd']) }),
  z.strictObject({ name: z.enum(['taylor', 'newton', 'adams-bashforth']), order: whole }),
  z.strictObject({ name: z.literal('hermite'), order: whole, scale: z.number().optional() }),
  z.strictObject({
    ...{ name: z.literal('chebyshev'), degree: whole },
    ...{ steps: whole.optional(), history: whole.optional() },
  }),
  z.strictObject({
    name: z.literal('affine'),
    corrections: z.array(z.strictObject({ step: whole, scale: numbers, shift: numbers })),
  }),
]);

/**
 * A step by the sites that it reuses, as `formatSites` writes them; what it records follows, unless it is written.
 */
const STEP = z.union([
  z.string(),
  z.strictObject({ reuse: z.string(), record: z.string().optional(), rows: z.enum(['both', 'cond']).optional() }),
]);

export const PLAN_JSON = z.strictObject({
  depth: whole,
  branches: z.array(z.enum(['self', 'cross', 'mlp'])).min(1),
  keeps: z.enum(['delta', 'output', 'x0']),
  predictor: PREDICTOR,
  /** From noise. */
  steps: z.array(STEP).min(1),
});

/** A plan as JSON holds it. */
export type PlanJson = z.infer<typeof PLAN_JSON>;

export function planToJson(plan: CachePlan): PlanJson {
  const { depth, branches, keeps, predictor, steps } = plan;
  const implied = impliedRecords(steps, predictor);
  return {
    ...{ depth, branches: [...branches], keeps },
    predictor: PREDICTOR.parse(predictor),
    steps: steps.map(({ reuse, record, rows }, step) => {
      const isImplied = formatSites(record) === formatSites(implied[step] ?? []);
      if (isImplied && rows === 'both') return formatSites(reuse);
      return {
        reuse: formatSites(reuse),
        ...(isImplied ? {} : { record: formatSites(record) }),
        ...(rows === 'both' ? {} : { rows }),
      };
    }),
  };
}

/**
 * Reads what `planToJson` makes.
 * @param where of the plan, for errors
 * @throws FormatError when it is not one, or no plan that a run could follow
 */
export function planFromJson(where: string, json: unknown): CachePlan {
  const parsed = PLAN_JSON.safeParse(json);
  if (!parsed.success) throw damaged(where, z.prettifyError(parsed.error));
  const { steps: written, ...rest } = parsed.data;
  const predictor = rest.predictor as PredictorSpec;
  const sitesOf = (step: number, text: string) => parseSites(`${where}: step ${step}`, text);
  const entries = written.map((entry) => (typeof entry === 'string' ? { reuse: entry } : entry));
  const reuses = entries.map(({ reuse }, step) => ({ reuse: sitesOf(step, reuse) }));
  return checkedAs(where, () => {
    const implied = impliedRecords(reuses, predictor);
    const steps = entries.map(({ record, rows = 'both' }, step): PlanStep => {
      const recorded = record === undefined ? (implied[step] ?? []) : sitesOf(step, record);
      return { step, record: recorded, reuse: reuses[step]?.reuse ?? [], rows };
    });
    const plan: CachePlan = { ...rest, predictor, steps };
    refuseUnrecorded(plan);
    return checkPlan(plan, { ...rest, numInferenceSteps: steps.length, timesteps: [] });
  });
}

function impliedRecords(steps: readonly Pick<PlanStep, 'reuse'>[], predictor: PredictorSpec) {
  return recordsFor(
    steps.map(({ reuse }) => reuse),
    predictorOf(predictor).history,
  );
}

function refuseUnrecorded({ steps }: CachePlan): void {
  const recorded = new Set<string>();
  for (const { step, record, reuse } of steps) {
    const missing = reuse.find((site) => !recorded.has(siteKey(site)));
    if (missing)
      throw new FormatError(`step ${step} reuses ${siteKey(missing)}, which no step before it computes and records`);
    for (const site of record) recorded.add(siteKey(site));
  }
}

function checkedAs(where: string, make: () => CachePlan): CachePlan {
  try {
    return make();
  } catch (error) {
    if (error instanceof DeltaDiTError) throw damaged(where, error.message, error);
    throw error;
  }
}

function damaged(where: string, what: string, cause?: Error): FormatError {
  return new FormatError(`${where}: not a plan of a cache method: ${what}; make the file again`, { cause });
}
