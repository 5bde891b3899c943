import { regionSpan } from '../cache/policies/span-cache.ts';
import type { Span } from '../cache/site.ts';
import type { Painter } from '../pipelines/painter.ts';
import type { SamplerName } from '../schedulers/samplers.ts';
import { cached, type LabMethod, samplingOf, uncached } from './lab-method.ts';
import { type LabTiming, timeLab } from './lab-timing.ts';
import { chooseSpans, measuredSpans, type SpanChoice } from './measured-spans.ts';
import { SpanErrorMeter } from './span-errors.ts';
import { type Spread, spreadOf } from './spread.ts';
import { measureStepCosts, type StepCosts } from './step-costs.ts';
import { blockCandidates, cachedBlocksOf, type Fits, largest, modelCandidates, SOLVERS } from './tune-candidates.ts';
import { type Scored, type SearchOptions, TuneScores } from './tune-scores.ts';
import { placeTimesteps } from './tune-timesteps.ts';

/** A way to sample and what it gives on held-out pictures. */
export interface TunedMethod {
  readonly method: LabMethod;
  /** 20 uncached DDIM steps ÷ this, one picture at once: the median over rounds in which all took turns. */
  readonly speedup: number;
  /** Of the rounds. */
  readonly speedups: Spread;
  /** Mean PSNR to the converged pictures from the same noise, of 250 uncached DDIM steps, dB. */
  readonly psnr: number;
  readonly pictures: number;
}

/** What ratios refer to. */
const BASELINE = uncached('ddim', 20);
/** Candidates of a first look at few pictures that are looked at again on all. */
const SECOND_LOOK = 6;
/** Of a first look, about. */
const CANDIDATES = 80;
/** Of a first look, in pictures. */
const FIRST_LOOK = 2;
/** Rounds in which the methods that remain are timed. */
const ROUNDS = 5;
/** Candidates that are measured on held-out pictures. */
export const FINALISTS = 4;
const LINE = { name: 'taylor', order: 1 } as const;
/** Parts of the blocks that predicted steps save, of spans chosen by their errors. */
const SAVED_SHARES = [0.5, 0.8] as const;

/** One search: what steps cost here, and what candidates give. */
export class TuneSearch {
  private readonly scores: TuneScores;
  private readonly depth: number;
  private costs: StepCosts | undefined;

  constructor(
    private readonly painter: Painter,
    private readonly options: SearchOptions,
  ) {
    this.scores = new TuneScores(painter, options);
    this.depth = painter.pipe.transformer.config.depth;
  }

  /**
   * Encodes prompts, measures what steps cost, and makes the converged pictures.
   * @param work for progress: how often candidates are looked through, and evaluations of the model that each takes
   */
  async prepare({ looks, evaluations }: { readonly looks: number; readonly evaluations: number }): Promise<void> {
    await this.scores.prepare();
    const { samples, heldOut } = this.scores;
    const { placements = 60 } = this.options;
    const ofLook = CANDIDATES * FIRST_LOOK + SECOND_LOOK * samples.length;
    const ofEnd = placements * samples.length + FINALISTS * (heldOut.length + 1 + ROUNDS);
    this.scores.expect(evaluations * (looks * ofLook + ofEnd) + BASELINE.numInferenceSteps * (1 + ROUNDS));
    const { guidanceScale, width, height, signal } = this.options;
    this.costs = await measureStepCosts(this.painter, {
      ...{ guidanceScale, width, height, signal, subject: this.scores.samples[0]?.subject ?? '' },
      samplers: [...SOLVERS, BASELINE.sampler],
      onRun: ({ name }) => this.scores.report(`steps of ${name}`),
    });
    await this.scores.converge();
  }

  /** The best that should be so much faster than the baseline, nearest pictures first; none where nothing is. */
  async bestAt(speedup: number): Promise<readonly Scored[]> {
    const { scores } = this;
    const fits = this.fitsAt(speedup);
    const few = scores.samples.slice(0, FIRST_LOOK);
    const ofModel = await scores.scored(modelCandidates(fits), few);
    const [best] = ofModel;
    if (!best) return [];
    const { sampler } = best.method;
    const ofBlocks = await scores.scored(blockCandidates(sampler, this.painter.pipe.planSetting(), fits), few);
    const chosen = await scores.scored(await this.measured(sampler, speedup), few);
    const all = [...ofModel, ...ofBlocks, ...chosen].sort((a, b) => b.psnr - a.psnr);
    const methods = all.slice(0, SECOND_LOOK).map(({ method }) => method);
    return scores.samples.length > few.length ? scores.scored(methods, scores.samples) : all.slice(0, SECOND_LOOK);
  }

  /** The same with its timesteps moved; undefined where none are to be. */
  async placed({ method }: Scored): Promise<Scored | undefined> {
    const { placements = 60 } = this.options;
    if (placements === 0) return undefined;
    const { scores, painter } = this;
    const plan = painter.pipe.plan(samplingOf(method));
    const { timesteps } = painter.pipe.planSetting(samplingOf(method));
    const nodes = plan?.steps
      .filter(({ reuse }) => !reuse.some(({ kind }) => kind === 'model'))
      .map(({ step }) => step);
    const at = (given: readonly number[]): LabMethod => ({
      ...{ ...method, timesteps: given, name: `${method.name}, placed` },
    });
    const { timesteps: best, psnr } = await placeTimesteps({
      ...{ timesteps, nodes: nodes ?? [], highest: 999, lowest: 1, budget: placements },
      score: (given) => scores.score(at(given), scores.samples),
    });
    return { method: at(best), psnr };
  }

  /** Times and held-out pictures, nearest first. */
  async decide(finalists: readonly LabMethod[]): Promise<readonly TunedMethod[]> {
    const { scores, options } = this;
    const { guidanceScale, width, height, signal } = options;
    const evaluations = [BASELINE, ...finalists].reduce((sum, method) => sum + scores.evaluations(method), 0);
    const timings: LabTiming[] = [];
    await timeLab(this.painter, [BASELINE, ...finalists], {
      ...{ pictures: scores.heldOut, rounds: ROUNDS, batchSize: 1, baseline: BASELINE },
      ...{ guidanceScale, width, height, signal },
      store: { timings, add: async (timing) => void timings.push(timing) },
      onProgress: ({ what }) => scores.report(`timing ${what}`),
    });
    scores.report('held-out pictures', evaluations * (1 + ROUNDS));
    const scored = await scores.scored(finalists, scores.heldOut);
    return scored.map(({ method, psnr }) => {
      const own = timings.filter((timing) => timing.method === method.name);
      const speedups = spreadOf(own.map((timing) => timing.baselineSeconds / timing.samplingSeconds));
      return { method, speedup: speedups.median, speedups, psnr, pictures: scores.heldOut.length };
    });
  }

  private get stepCosts(): StepCosts {
    if (!this.costs) throw new RangeError('a search is prepared first');
    return this.costs;
  }

  private secondsAt(speedup: number): number {
    return (BASELINE.numInferenceSteps * this.stepCosts.full(BASELINE.sampler)) / speedup;
  }

  private fitsAt(speedup: number): Fits {
    const seconds = this.secondsAt(speedup);
    return (method) => {
      const plan = this.painter.pipe.plan(samplingOf(method));
      return plan !== null && this.stepCosts.secondsOf(method.sampler, plan) <= seconds;
    };
  }

  /** Ways whose spans are chosen by their errors on the first pictures. */
  private async measured(sampler: SamplerName, speedup: number): Promise<readonly LabMethod[]> {
    const { depth, stepCosts } = this;
    const [seconds, full] = [this.secondsAt(speedup), stepCosts.full(sampler)];
    const methods: LabMethod[] = [];
    for (const interval of [2, 3]) {
      for (const share of SAVED_SHARES) {
        const savedAtStep = share * depth * stepCosts.savedPerBlock(depth);
        const fits: Fits = ({ numInferenceSteps: steps }) =>
          steps * full - (steps - Math.ceil(steps / interval)) * savedAtStep <= seconds;
        const [laid] = largest(interval, fits, (steps) => uncached(sampler, steps));
        if (!laid) continue;
        const saved = (laid.numInferenceSteps * full - seconds) / stepCosts.savedPerBlock(depth);
        const chosen = chooseSpans(await this.spanErrors(laid, interval), saved);
        if (!chosen) continue;
        const detail = `N=${interval}, ${Math.ceil(Math.max(0, saved))} blocks less`;
        methods.push(cached(measuredSpans(chosen, LINE), sampler, laid.numInferenceSteps, detail));
      }
    }
    return methods;
  }

  /** Of each step the spans and what predicting them costs; none at full ones. */
  private async spanErrors(method: LabMethod, interval: number): Promise<readonly (readonly SpanChoice[])[]> {
    const pictures = this.scores.samples.slice(0, FIRST_LOOK);
    const spans = spansOf(this.depth);
    const choices = Array.from({ length: method.numInferenceSteps }, (): SpanChoice[] => []);
    const isFull = (step: number) => step % interval === 0;
    const meter = new SpanErrorMeter(spans, LINE, isFull, ({ step, span, squaredError }) => {
      choices[step]?.push({ span: spans[span] as Span, squaredError });
    });
    const runBlocks = (step: number) => meter.atStep(step);
    await this.scores.made(method, pictures, { runBlocks }).finally(() => meter.dispose());
    return choices;
  }
}

/** Of each region several widths, and all blocks. */
function spansOf(depth: number): readonly Span[] {
  const regions = (['front', 'middle', 'rear'] as const).flatMap((region) =>
    cachedBlocksOf(depth).map((count) => regionSpan(region, count, depth)),
  );
  const all = [...regions, { first: 0, count: depth }];
  return [...new Map(all.map((span) => [`${span.first}+${span.count}`, span])).values()];
}
