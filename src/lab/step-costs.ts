import type { CachePlan, PlanStep } from '../cache/plan.ts';
import { fora } from '../cache/policies/fora.ts';
import { forecast } from '../cache/policies/forecast.ts';
import { deltaCache } from '../cache/policies/span-cache.ts';
import type { BranchName } from '../models/block.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import type { SamplerName } from '../schedulers/samplers.ts';
import { cached, type LabMethod, samplingOf, uncached } from './lab-method.ts';
import { medianOf } from './spread.ts';

/** Wall time of a step of one picture, by what it does, measured in this process. Seconds. */
export interface StepSeconds {
  /** Everything computed, nothing stored. */
  readonly full: ReadonlyMap<SamplerName, number>;
  /** The whole model predicted: what sampler, prediction and the loop around them take. */
  readonly skipped: ReadonlyMap<SamplerName, number>;
  /** All blocks predicted as one span, between embedding and head. */
  readonly spanReused: number;
  /** A branch predicted in every block: its merge stays, and so does its block's modulation. */
  readonly branchReused: ReadonlyMap<BranchName, number>;
  /** What storing that branch in every block adds to a full step. */
  readonly branchStored: ReadonlyMap<BranchName, number>;
  /** What storing a span adds. */
  readonly spanStored: number;
}

/** What runs will take, from `StepSeconds`. */
export class StepCosts {
  constructor(
    private readonly seconds: StepSeconds,
    /** Whose blocks and branches were measured; what they save is taken to be the same under others. */
    private readonly measured: SamplerName,
  ) {}

  /** Of an uncached step. @throws RangeError for a sampler that was not measured */
  full(sampler: SamplerName): number {
    return known(this.seconds.full, sampler);
  }

  /** Of the sampling loop under a plan, for one picture. */
  secondsOf(sampler: SamplerName, plan: CachePlan): number {
    return plan.steps.reduce((sum, step) => sum + this.stepSeconds(sampler, plan.depth, step), 0);
  }

  /** What a step saves for each block that a span skips. */
  savedPerBlock(depth: number): number {
    return Math.max(0, this.full(this.measured) - this.seconds.spanReused) / depth;
  }

  private stepSeconds(sampler: SamplerName, depth: number, { reuse, record }: PlanStep): number {
    if (reuse.some(({ kind }) => kind === 'model')) return known(this.seconds.skipped, sampler);
    const full = this.full(this.measured);
    let seconds = this.full(sampler);
    for (const site of reuse) {
      if (site.kind === 'span') seconds -= site.count * this.savedPerBlock(depth);
      if (site.kind === 'branch') seconds -= Math.max(0, full - known(this.seconds.branchReused, site.branch)) / depth;
    }
    for (const site of record) {
      if (site.kind === 'span') seconds += this.seconds.spanStored;
      if (site.kind === 'branch') seconds += known(this.seconds.branchStored, site.branch) / depth;
    }
    return seconds;
  }
}

function known<K>(measured: ReadonlyMap<K, number>, key: K): number {
  const value = measured.get(key);
  if (value === undefined) throw new RangeError(`the steps of ${String(key)} were not measured`);
  return value;
}

/** Steps of a measuring run, the first of which is left out; every second one is predicted. */
const STEPS = 9;
const ROUNDS = 3;
/** As most predictions of a tuned plan are. */
const LINE = { name: 'taylor', order: 1 } as const;

export interface MeasureOptions extends Pick<PaintOptions, 'guidanceScale' | 'width' | 'height' | 'signal'> {
  readonly subject: string;
  readonly samplers: readonly SamplerName[];
  readonly onRun?: ((method: LabMethod) => void) | undefined;
}

/** Measures steps: short runs of one picture in turn, three times, of each the median step and of the times the least. */
export async function measureStepCosts(painter: Painter, options: MeasureOptions): Promise<StepCosts> {
  const { samplers } = options;
  const [measured = 'ddim'] = samplers;
  const { depth } = painter.pipe.transformer.config;
  const { branches } = painter.pipe.planSetting();
  const plain = new Map(samplers.map((sampler) => [sampler, uncached(sampler, STEPS)]));
  const skipping = new Map(samplers.map((name) => [name, cached(forecast({ interval: 2 }), name, STEPS)]));
  const span = cached(deltaCache({ region: 'front', cachedBlocks: depth, predictor: LINE }), measured, STEPS);
  const branch = new Map(
    branches.map((name) => [name, cached(fora({ interval: 2, predictor: LINE, branches: [name] }), measured, STEPS)]),
  );
  const methods = [...plain.values(), ...skipping.values(), span, ...branch.values()];
  const times = await leastTimes(painter, methods, options);
  const of = (method: LabMethod | undefined) => (method && times.get(method)) ?? { computed: 0, reused: 0 };
  const stored = (method: LabMethod) => Math.max(0, of(method).computed - of(plain.get(measured)).computed);
  const seconds: StepSeconds = {
    full: new Map([...plain].map(([name, method]) => [name, of(method).computed])),
    skipped: new Map([...skipping].map(([name, method]) => [name, of(method).reused])),
    ...{ spanReused: of(span).reused, spanStored: stored(span) },
    branchReused: new Map([...branch].map(([name, method]) => [name, of(method).reused])),
    branchStored: new Map([...branch].map(([name, method]) => [name, stored(method)])),
  };
  return new StepCosts(seconds, measured);
}

interface StepTimes {
  readonly computed: number;
  readonly reused: number;
}

async function leastTimes(
  painter: Painter,
  methods: readonly LabMethod[],
  { subject, guidanceScale, width, height, signal, onRun }: MeasureOptions,
): Promise<ReadonlyMap<LabMethod, StepTimes>> {
  const times = new Map<LabMethod, StepTimes>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const method of methods) {
      onRun?.(method);
      const run = { ...samplingOf(method), guidanceScale, width, height, signal, seed: 0 };
      const { report } = await painter.paint([subject], run);
      const { computed, reused } = stepTimes(report.stepSeconds, report.plan);
      const least = times.get(method) ?? { computed, reused };
      times.set(method, { computed: Math.min(least.computed, computed), reused: Math.min(least.reused, reused) });
    }
  }
  return times;
}

/** Medians of the steps that compute everything, and of those that reuse something; 0 where there is none. */
function stepTimes(stepSeconds: readonly number[], plan: CachePlan | null): StepTimes {
  const isReusing = (step: number) => (plan?.steps[step]?.reuse.length ?? 0) > 0;
  const of = (reusing: boolean) => {
    const seconds = stepSeconds.filter((_, step) => step > 0 && isReusing(step) === reusing);
    return seconds.length > 0 ? medianOf(seconds) : 0;
  };
  return { computed: of(false), reused: of(true) };
}
