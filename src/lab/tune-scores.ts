import { countBlocks } from '../cache/plan.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import { psnr } from '../metrics/psnr.ts';
import type { PixelImage } from '../pipelines/image.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import type { BenchProgress } from './bench-progress.ts';
import { type LabMethod, samplingOf, uncached } from './lab-method.ts';
import type { BenchPicture } from './method-tally.ts';
import { meanOf } from './spread.ts';
import { prepareSubjects, subjectsInTurn } from './subjects.ts';

export interface SearchOptions extends Pick<PaintOptions, 'guidanceScale' | 'width' | 'height' | 'signal'> {
  /** Classes or prompts, in turn. Default: all classes. */
  readonly subjects?: readonly string[] | undefined;
  /** Pictures that the search looks at. Default 8. */
  readonly samples?: number | undefined;
  /** Other pictures, which decide. Default 16. */
  readonly heldOut?: number | undefined;
  /** Placements of timesteps that are tried. Default 60; 0 leaves the solver's own. */
  readonly placements?: number | undefined;
  /** Uncached DDIM steps of the pictures that all are judged by. Default 250. */
  readonly referenceSteps?: number | undefined;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

/** A way to sample and what it gives on the pictures of the search. */
export interface Scored {
  readonly method: LabMethod;
  readonly psnr: number;
}

/** How far it says to have come, at most, before it ends: what it announces is about right. */
const MOST_DONE = 0.99;
/** Pictures that are painted together, at most. */
export const TUNE_BATCH = 16;

/** The pictures of a search, what they converge to, and how far it has come. */
export class TuneScores {
  readonly samples: readonly BenchPicture[];
  readonly heldOut: readonly BenchPicture[];
  private readonly converged = new Map<BenchPicture, PixelImage>();
  private readonly reference: LabMethod;
  private done = 0;
  private total: number;

  constructor(
    readonly painter: Painter,
    readonly options: SearchOptions,
  ) {
    const { samples = 8, heldOut = 16, placements = 60, referenceSteps = 250, subjects } = options;
    checkWhole('samples', samples, 1, 256, 'pictures that the search looks at');
    checkWhole('heldOut', heldOut, 2, 1024, 'pictures that decide');
    checkWhole('placements', placements, 0, 10_000, 'placements of timesteps that are tried');
    checkWhole('referenceSteps', referenceSteps, 21, 1000, 'more than the 20 of the baseline');
    this.reference = uncached('ddim', referenceSteps);
    const pictures = subjectsInTurn(painter, subjects, samples + heldOut).map((subject, seed) => ({ subject, seed }));
    this.samples = pictures.slice(0, samples);
    this.heldOut = pictures.slice(samples);
    this.total = referenceSteps * pictures.length;
  }

  /** Encodes prompts. */
  prepare(): Promise<void> {
    const subjects = [...this.samples, ...this.heldOut].map(({ subject }) => subject);
    return prepareSubjects(this.painter, [...new Set(subjects)], this.options);
  }

  /** Makes what all are judged by. */
  async converge(): Promise<void> {
    const pictures = [...this.samples, ...this.heldOut];
    const images = await this.made(this.reference, pictures);
    for (const [i, picture] of pictures.entries()) this.converged.set(picture, images[i] as PixelImage);
  }

  /** Announces work, about, in evaluations of the model for a picture. */
  expect(evaluations: number): void {
    this.total += evaluations;
  }

  /** Says what runs, and what of the work it ends. */
  report(what: string, evaluations = 0): void {
    this.done += evaluations;
    this.options.onProgress?.({ done: Math.min(MOST_DONE, this.done / this.total), what });
  }

  /** Nearest pictures first. */
  async scored(methods: readonly LabMethod[], pictures: readonly BenchPicture[]): Promise<readonly Scored[]> {
    const scored: Scored[] = [];
    for (const method of methods) scored.push({ method, psnr: await this.score(method, pictures) });
    return scored.sort((a, b) => b.psnr - a.psnr);
  }

  /** Mean PSNR to the converged pictures, dB. */
  async score(method: LabMethod, pictures: readonly BenchPicture[]): Promise<number> {
    const images = await this.made(method, pictures);
    const decibels = images.map((image, i) => psnr(image, this.converged.get(pictures[i] as BenchPicture) ?? image));
    return meanOf(decibels.filter(Number.isFinite));
  }

  async made(
    method: LabMethod,
    pictures: readonly BenchPicture[],
    more: Pick<PaintOptions, 'runBlocks'> = {},
  ): Promise<readonly PixelImage[]> {
    const { guidanceScale, width, height, signal } = this.options;
    const images: PixelImage[] = [];
    for (let first = 0; first < pictures.length; first += TUNE_BATCH) {
      const batch = pictures.slice(first, first + TUNE_BATCH);
      const seed = batch.map((picture) => picture.seed);
      const run = { ...samplingOf(method), guidanceScale, width, height, signal, seed, ...more };
      const subjects = batch.map(({ subject }) => subject);
      images.push(...(await this.painter.paint(subjects, run)).images);
      this.report(method.name, this.evaluations(method) * batch.length);
    }
    return images;
  }

  /** Of the whole model, for a picture. */
  evaluations(method: LabMethod): number {
    const plan = this.painter.pipe.plan(samplingOf(method));
    return plan ? countBlocks(plan).computed / plan.depth : method.numInferenceSteps;
  }
}
