import {
  DeltaDiTError,
  DIT_BRANCHES,
  defaultCachedBlocks,
  defaultInterval,
  defaultStageBound,
  PIXART_BRANCHES,
  planCells,
  planOf,
} from '../index.ts';
import { policyOf } from './cache-policies.ts';
import { type DemoModel, modelNamed } from './demo-models.ts';
import type { Planned, RunRequest } from './messages.ts';

/** The plan of a run, before anything is loaded. */
export function planned(request: RunRequest): Planned {
  const model = modelNamed(request.model);
  const suggested = suggestions(request, model);
  try {
    return { kind: 'planned', request, columns: columnsOf(request, model), suggested };
  } catch (error) {
    if (!(error instanceof DeltaDiTError)) throw error;
    return { kind: 'planned', request, columns: [], suggested, refusal: error.message };
  }
}

function columnsOf({ cache, numInferenceSteps, sampler, guidanceScale }: RunRequest, model: DemoModel) {
  const { depth, scheduler, defaults } = model;
  const branches = model.subject === 'class' ? DIT_BRANCHES : PIXART_BRANCHES;
  const policy = cache ? policyOf(cache) : undefined;
  const options = { numInferenceSteps, sampler, guidanceScale, cache: policy };
  const plan = planOf({ depth, branches, scheduler, defaults }, options);
  return plan ? planCells(plan) : [];
}

function suggestions({ numInferenceSteps }: RunRequest, { depth }: DemoModel): Readonly<Record<string, number>> {
  return {
    interval: defaultInterval(numInferenceSteps),
    cachedBlocks: defaultCachedBlocks(numInferenceSteps, depth),
    stageBound: defaultStageBound(numInferenceSteps),
  };
}
