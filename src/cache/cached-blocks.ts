import * as tf from '@tensorflow/tfjs-core';
import { type Block, type BlockRunner, type Modulation, runBlock } from '../models/block.ts';
import { runCachedBranches } from './cached-branch.ts';
import { addPrediction, residual } from './delta.ts';
import { outputForm } from './output-form.ts';
import { blocksReused, type CachePlan, type PlanStep, type TouchedSite, touchedSites } from './plan.ts';
import { predictorOf } from './predictors/named.ts';
import type { CacheCounts, ComputeModel, RunCache } from './run-cache.ts';
import { MODEL_SITE, type Site } from './site.ts';
import { SiteStore } from './site-store.ts';

type SpanSite = Extract<Site, { kind: 'span' }>;

/** The state of one run under a plan. */
export class CachedBlocks implements RunCache {
  private readonly stepBlocks: number[] = [];
  private reused = 0;
  private readonly store: SiteStore;
  /** Of each step. */
  private readonly touched: readonly (readonly TouchedSite[])[];

  constructor(
    private readonly plan: CachePlan,
    private readonly form = outputForm(plan.keeps, noCleanLatents),
  ) {
    this.store = new SiteStore(predictorOf(plan.predictor));
    this.touched = touchedSites(plan);
  }

  atStep(step: number): BlockRunner {
    return (blocks, tokens, cond) => this.run(this.planned(step), blocks, tokens, cond);
  }

  async output(step: number, latents: tf.Tensor4D, compute: ComputeModel): Promise<tf.Tensor4D> {
    const planned = this.planned(step);
    if (planned.reuse.some(isModel)) {
      const kept = await this.store.predict<tf.Tensor4D>(MODEL_SITE, step);
      this.finish(planned);
      return tf.tidy(() => {
        const output = this.form.toOutput(kept, latents, step);
        kept.dispose();
        return output;
      });
    }
    const output = await compute(latents);
    if (planned.record.some(isModel)) this.store.put(MODEL_SITE, step, this.form.toKept(output, latents, step));
    return output;
  }

  get depth(): number {
    return this.plan.depth;
  }

  get counts(): CacheCounts {
    return {
      blocksComputed: this.stepBlocks.reduce((sum, blocks) => sum + blocks, 0),
      blocksReused: this.reused,
      stepBlocks: this.stepBlocks,
      peakCachedBytes: this.store.peakBytes,
    };
  }

  private planned(step: number): PlanStep {
    const planned = this.plan.steps[step];
    if (!planned) throw new RangeError(`the plan has ${this.plan.steps.length} steps, step ${step} was asked for`);
    return planned;
  }

  /** Counts a step, and frees what no later one takes. */
  private finish(step: PlanStep): void {
    const reused = blocksReused(this.plan, step);
    this.reused += reused;
    this.stepBlocks.push(this.plan.depth - reused);
    for (const { site, recordsBeforeReuse } of this.touched[step.step] ?? [])
      this.store.release(site, recordsBeforeReuse);
  }

  /** Frees what is kept. */
  dispose(): void {
    this.store.dispose();
  }

  private async run<C, M extends Modulation>(
    step: PlanStep,
    blocks: readonly Block<C, M>[],
    tokens: tf.Tensor3D,
    cond: C,
  ): Promise<tf.Tensor3D> {
    const entries = new Map<SpanSite, tf.Tensor3D>(); // h_in of the spans being recorded
    const recorded = step.record.filter(isSpan);
    let h = tokens.clone();
    try {
      for (let index = 0; index < blocks.length; ) {
        for (const span of recorded) if (span.first === index) entries.set(span, h.clone());
        const [next, ran] = await this.advance(step, blocks, index, h, cond);
        h.dispose();
        h = next;
        index += ran;
        for (const [span, hIn] of entries) if (span.first + span.count === index) this.keep(step, span, h, hIn);
      }
      this.finish(step);
      return h;
    } catch (error) {
      h.dispose();
      throw error;
    } finally {
      tf.dispose([...entries.values()]);
    }
  }

  /** One block, or the span that is reused: the tokens after it and how many blocks that was. */
  private async advance<C, M extends Modulation>(
    step: PlanStep,
    blocks: readonly Block<C, M>[],
    index: number,
    h: tf.Tensor3D,
    cond: C,
  ): Promise<[tf.Tensor3D, number]> {
    const span = step.reuse.filter(isSpan).find(({ first }) => first === index);
    if (span) return [await this.predictSpan(step, span, h), span.count];
    const block = blocks[index] as Block<C, M>;
    const branches = (sites: readonly Site[]) =>
      sites.flatMap((site) => (site.kind === 'branch' && site.block === index ? [site.branch] : []));
    const [reuse, record] = [branches(step.reuse), branches(step.record)];
    if (reuse.length + record.length === 0) return [runBlock(block, h, cond), 1];
    return [await runCachedBranches(block, h, cond, { step: step.step, index, reuse, record }, this.store), 1];
  }

  private async predictSpan(step: PlanStep, span: SpanSite, h: tf.Tensor3D): Promise<tf.Tensor3D> {
    if (this.plan.keeps !== 'delta') return this.store.predict<tf.Tensor3D>(span, step.step);
    const delta = await this.store.prediction<tf.Tensor3D>(span, step.step);
    const hOut = addPrediction(h, delta);
    delta.dispose();
    return hOut;
  }

  private keep(step: PlanStep, span: SpanSite, hOut: tf.Tensor3D, hIn: tf.Tensor3D): void {
    this.store.put(span, step.step, this.plan.keeps === 'delta' ? residual(hOut, hIn) : hOut.clone());
  }
}

function isModel({ kind }: Site): boolean {
  return kind === 'model';
}

function noCleanLatents(): never {
  throw new RangeError("a plan that keeps 'x0' needs the form of the sampler's clean latents");
}

function isSpan(site: Site): site is SpanSite {
  return site.kind === 'span';
}
