import { countBlocks } from '../cache/plan.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import { OptionError } from '../errors.ts';
import { psnr } from '../metrics/psnr.ts';
import type { PixelImage } from '../pipelines/image.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import type { BenchProgress } from './bench-progress.ts';
import { type LabMethod, samplingOf, uncached } from './lab-method.ts';
import type { BenchPicture } from './method-tally.ts';
import { meanOf, medianOf } from './spread.ts';
import { prepareSubjects, subjectsInTurn } from './subjects.ts';
import { tuneCandidates } from './tune-candidates.ts';
import { placeTimesteps } from './tune-timesteps.ts';

/** One of the two goals. */
export type TuneGoal =
  /** So many times faster than 20 uncached DDIM steps, as near to the converged picture as can be. */
  | { readonly targetSpeedup: number }
  /** At least so near to the converged picture (dB), as fast as can be. */
  | { readonly minPsnr: number };

export interface TuneOptions extends Pick<PaintOptions, 'guidanceScale' | 'width' | 'height' | 'signal'> {
  readonly goal: TuneGoal;
  /** Classes or prompts, in turn. Default: all classes. */
  readonly subjects?: readonly string[] | undefined;
  /** Pictures that the search looks at. Default 8. */
  readonly samples?: number | undefined;
  /** Other pictures, which decide. Default 16. */
  readonly heldOut?: number | undefined;
  /** Placements of timesteps that are tried. Default 60; 0 leaves the solver's own. */
  readonly placements?: number | undefined;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

/** A way to sample and what it gives on held-out pictures. */
export interface TunedMethod {
  readonly method: LabMethod;
  /** 20 uncached DDIM steps ÷ this: the median of pairs made in turn. */
  readonly speedup: number;
  /** Mean PSNR to 250 uncached DDIM steps from the same noise, dB. */
  readonly psnr: number;
  readonly pictures: number;
}

export interface TuneReport {
  readonly best: TunedMethod;
  /** All that was measured on held-out pictures, best first. */
  readonly tried: readonly TunedMethod[];
}

/** What ratios refer to. */
const BASELINE = uncached('ddim', 20);
const CONVERGED = uncached('ddim', 250);
/** Candidates that are measured on held-out pictures. */
const FINALISTS = 4;
/** Speeds that a search for the fastest one goes through, as equivalents of 20 steps. */
const SPEEDS = [4, 3.4, 2.9, 2.5, 2.2, 1.9, 1.7, 1.5, 1.35, 1.2, 1] as const;
/** What the search may lose on other pictures, dB. */
const CAUTION = 0.5;

/**
 * Searches solver, steps, timesteps, interval, site, span and predictor on a few pictures, and lets other ones decide.
 * @throws OptionError for a goal that nothing tried reaches, saying what came nearest; AbortError when stopped
 */
export async function tune(painter: Painter, options: TuneOptions): Promise<TuneReport> {
  const search = new Search(painter, options);
  await search.prepare();
  const { goal } = options;
  const finalists =
    'targetSpeedup' in goal ? await search.atSpeed(goal.targetSpeedup) : await search.fastest(goal.minPsnr);
  const tried = await search.decide(finalists);
  const reached = tried.filter((one) =>
    'targetSpeedup' in goal ? one.speedup >= goal.targetSpeedup : one.psnr >= goal.minPsnr,
  );
  const best = 'targetSpeedup' in goal ? by(reached, (one) => one.psnr) : by(reached, (one) => one.speedup);
  if (!best) throw outOfReach(goal, tried);
  return { best, tried };
}

function by<T>(all: readonly T[], measure: (one: T) => number): T | undefined {
  return [...all].sort((a, b) => measure(b) - measure(a))[0];
}

function outOfReach(goal: TuneGoal, tried: readonly TunedMethod[]): OptionError {
  const words = ({ method, speedup, psnr: decibels }: TunedMethod) =>
    `${method.name}: ${speedup.toFixed(2)}× at ${decibels.toFixed(1)} dB`;
  const nearest = 'targetSpeedup' in goal ? by(tried, (one) => one.speedup) : by(tried, (one) => one.psnr);
  const asked = 'targetSpeedup' in goal ? `${goal.targetSpeedup}× faster` : `${goal.minPsnr} dB`;
  return new OptionError(
    `tune: nothing that was tried is ${asked} on held-out pictures${nearest ? ` (nearest: ${words(nearest)})` : ''}; ask for less`,
  );
}

interface Scored {
  readonly method: LabMethod;
  readonly psnr: number;
}

/** One search: its pictures, what they converge to, and how far it has come. */
class Search {
  private readonly samples: readonly BenchPicture[];
  private readonly heldOut: readonly BenchPicture[];
  private converged: readonly PixelImage[] = [];
  private convergedHeldOut: readonly PixelImage[] = [];
  private done = 0;
  private total = 1;

  constructor(
    private readonly painter: Painter,
    private readonly options: TuneOptions,
  ) {
    const { samples = 8, heldOut = 16, placements = 60, goal, subjects } = options;
    checkWhole('samples', samples, 1, 256, 'pictures that the search looks at');
    checkWhole('heldOut', heldOut, 2, 1024, 'pictures that decide');
    checkWhole('placements', placements, 0, 10_000, 'placements of timesteps that are tried');
    const wanted = 'targetSpeedup' in goal ? goal.targetSpeedup : goal.minPsnr;
    if (!(wanted > 0)) throw new OptionError(`tune: expected a positive goal, got ${wanted}`);
    const pictures = subjectsInTurn(painter, subjects, samples + heldOut).map((subject, seed) => ({ subject, seed }));
    this.samples = pictures.slice(0, samples);
    this.heldOut = pictures.slice(samples);
  }

  /** Encodes prompts and makes the converged pictures. */
  async prepare(): Promise<void> {
    const { samples, heldOut } = this;
    const { placements = 60 } = this.options;
    // in evaluations of the model: the converged pictures, candidates, placements, and finalists with their baselines
    this.total =
      250 * (samples.length + heldOut.length) +
      10 * samples.length * (30 + placements) +
      35 * heldOut.length * FINALISTS;
    const subjects = [...new Set([...samples, ...heldOut].map(({ subject }) => subject))];
    await prepareSubjects(this.painter, subjects, this.options);
    this.converged = (await this.made(CONVERGED, samples)).images;
    this.convergedHeldOut = (await this.made(CONVERGED, heldOut)).images;
  }

  /** The best candidates that should be fast enough. */
  async atSpeed(speedup: number): Promise<readonly LabMethod[]> {
    const scored = await this.scoredAt(BASELINE.numInferenceSteps / speedup);
    const [best] = scored;
    if (!best) throw new OptionError(`tune: ${speedup}× leaves no step to compute; ask for less`);
    const placed = await this.placedScore(best);
    return [...(placed ? [placed] : []), ...scored].map(({ method }) => method).slice(0, FINALISTS);
  }

  /** The fastest candidates that should be near enough; where none is, the nearest. */
  async fastest(minPsnr: number): Promise<readonly LabMethod[]> {
    const enough = (one: Scored | undefined) => one !== undefined && one.psnr >= minPsnr + CAUTION;
    const bests = new Map<number, Scored | undefined>();
    const bestAt = async (index: number) => {
      if (!bests.has(index))
        bests.set(index, (await this.scoredAt(BASELINE.numInferenceSteps / (SPEEDS[index] ?? 1)))[0]);
      return bests.get(index);
    };
    let [fast, slow] = [0, SPEEDS.length - 1];
    const slowest = await bestAt(slow);
    if (!enough(slowest)) return slowest ? [slowest.method] : [];
    while (fast < slow) {
      const middle = Math.floor((fast + slow) / 2); // quality grows with the evaluations
      if (enough(await bestAt(middle))) slow = middle;
      else fast = middle + 1;
    }
    const [faster, found] = [slow > 0 ? await bestAt(slow - 1) : undefined, await bestAt(slow)];
    const placed = faster && (await this.placedScore(faster));
    return [...(enough(placed) ? [placed] : []), found].flatMap((one) => (one ? [one.method] : []));
  }

  /** Held-out pictures, each finalist in turn with the baseline. */
  async decide(finalists: readonly LabMethod[]): Promise<readonly TunedMethod[]> {
    const half = Math.ceil(this.heldOut.length / 2);
    const batches = [this.heldOut.slice(0, half), this.heldOut.slice(half)];
    const tallies = finalists.map((method) => ({ method, ratios: [] as number[], decibels: [] as number[] }));
    for (const [b, batch] of batches.entries()) {
      const want = this.convergedHeldOut.slice(b * half, b * half + batch.length);
      for (const tally of tallies) {
        const baseline = await this.made(BASELINE, batch);
        const { images, seconds } = await this.made(tally.method, batch);
        tally.ratios.push(baseline.seconds / seconds);
        tally.decibels.push(...images.map((image, i) => psnr(image, want[i] as PixelImage)));
      }
    }
    const pictures = this.heldOut.length;
    return tallies
      .map(({ method, ratios, decibels }) => ({
        ...{ method, pictures, speedup: medianOf(ratios) },
        psnr: meanOf(decibels.filter(Number.isFinite)),
      }))
      .sort((a, b) => b.psnr - a.psnr);
  }

  /** Candidates of so many evaluations of the model, nearest pictures first. */
  private async scoredAt(evaluations: number): Promise<readonly Scored[]> {
    const { pipe } = this.painter;
    const scored: Scored[] = [];
    for (const method of tuneCandidates(evaluations, pipe.transformer.config)) {
      scored.push({ method, psnr: await this.score(method) });
    }
    return scored.sort((a, b) => b.psnr - a.psnr);
  }

  private async placedScore({ method }: Scored): Promise<Scored | undefined> {
    const { placements = 60 } = this.options;
    if (placements === 0) return undefined;
    const { pipe } = this.painter;
    const plan = pipe.plan(samplingOf(method));
    const { timesteps } = pipe.planSetting(samplingOf(method));
    const nodes = plan?.steps
      .filter(({ reuse }) => !reuse.some(({ kind }) => kind === 'model'))
      .map(({ step }) => step);
    const at = (given: readonly number[]): LabMethod => ({
      ...{ ...method, timesteps: given, name: `${method.name}, placed` },
    });
    const { timesteps: best, psnr: decibels } = await placeTimesteps({
      ...{ timesteps, nodes: nodes ?? [], highest: 999, lowest: 1, budget: placements },
      score: (given) => this.score(at(given)),
    });
    return { method: at(best), psnr: decibels };
  }

  private async score(method: LabMethod): Promise<number> {
    const { images } = await this.made(method, this.samples);
    return meanOf(images.map((image, i) => psnr(image, this.converged[i] as PixelImage)).filter(Number.isFinite));
  }

  private async made(method: LabMethod, pictures: readonly BenchPicture[]) {
    const { guidanceScale, width, height, signal, onProgress } = this.options;
    const plan = this.painter.pipe.plan(samplingOf(method));
    const steps = method.timesteps?.length ?? method.numInferenceSteps;
    const subjects = pictures.map(({ subject }) => subject);
    const seed = pictures.map((picture) => picture.seed);
    const run = { ...samplingOf(method), guidanceScale, width, height, signal, seed };
    const { images, report } = await this.painter.paint(subjects, run);
    this.done += ((plan ? countBlocks(plan).computed / plan.depth : steps) * pictures.length) / this.total;
    onProgress?.({ done: Math.min(1, this.done), what: method.name });
    return { images, seconds: report.samplingSeconds };
  }
}
