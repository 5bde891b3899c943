import type { PixelImage } from '../pipelines/image.ts';
import type { RunDescription, RunTimes } from '../pipelines/report.ts';
import type { SamplingMethod } from './bench-methods.ts';
import { type Similarity, type SimilaritySummary, similarityOf, summaryOf } from './bench-similarity.ts';

export interface BenchPicture {
  /** A class or a prompt. */
  readonly subject: string;
  readonly seed: number;
}

export interface PictureQuality extends BenchPicture {
  /** Null for the uncached model itself. */
  readonly toUncached: Similarity | null;
  /** Null where there is no reference. */
  readonly toReference: Similarity | null;
}

/** A row of the comparison. */
export interface MethodQuality {
  readonly method: string;
  readonly numInferenceSteps: number;
  readonly cache: string | null;
  /** Uncached ÷ this, counting the blocks alone. */
  readonly macsRatio: number;
  /** Uncached ÷ this: the sampling loop without decoding, over all batches. */
  readonly latencyRatio: number;
  /** Wall time of the sampling loop. */
  readonly secondsPerPicture: number;
  /** To the uncached picture; null for the uncached model itself. */
  readonly toUncached: SimilaritySummary | null;
  /** To the picture of many uncached steps; null where there is none. */
  readonly toReference: SimilaritySummary | null;
  readonly pictures: readonly PictureQuality[];
}

/** Pictures of one batch to compare with: uncached, and of many uncached steps. */
export interface Originals {
  readonly uncached: readonly PixelImage[] | null;
  readonly reference: readonly PixelImage[] | null;
}

/** What one method has made and spent so far. */
export class MethodTally {
  private seconds = 0;
  private pictures = 0;
  /** Multiply-accumulates of the blocks' linears, of one guidance half. */
  private macs = 0;
  private readonly compared: PictureQuality[] = [];

  constructor(
    readonly method: SamplingMethod,
    /** Blocks that a picture and guidance half will take, for progress. */
    readonly expectedBlocks: number,
  ) {}

  spend({ samplingSeconds, macs }: Pick<RunTimes, 'samplingSeconds'> & Pick<RunDescription, 'macs'>, pictures: number) {
    this.seconds += samplingSeconds;
    this.pictures += pictures;
    this.macs += pictures * (macs?.linear ?? 0);
  }

  private get macsPerPicture(): number {
    return this.macs / this.pictures;
  }

  secondsPer(pictures: number): number {
    return this.seconds / pictures;
  }

  compare(pictures: readonly BenchPicture[], images: readonly PixelImage[], originals: Originals): void {
    for (const [i, picture] of pictures.entries()) {
      const image = images[i];
      if (!image) throw new RangeError(`${this.method.name}: picture ${i} was not made`);
      const similarityTo = (made: readonly PixelImage[] | null) => (made?.[i] ? similarityOf(image, made[i]) : null);
      const [toUncached, toReference] = [similarityTo(originals.uncached), similarityTo(originals.reference)];
      this.compared.push({ ...picture, toUncached, toReference });
    }
  }

  row(uncached: MethodTally): MethodQuality {
    const { name, numInferenceSteps, cache } = this.method;
    return {
      method: name,
      numInferenceSteps,
      cache: cache?.name ?? null,
      macsRatio: uncached.macsPerPicture / this.macsPerPicture,
      latencyRatio: uncached.seconds / this.seconds,
      secondsPerPicture: this.secondsPer(this.compared.length),
      toUncached: summaryOrNull(this.compared.map(({ toUncached }) => toUncached)),
      toReference: summaryOrNull(this.compared.map(({ toReference }) => toReference)),
      pictures: this.compared,
    };
  }
}

function summaryOrNull(similarities: readonly (Similarity | null)[]): SimilaritySummary | null {
  const known = similarities.filter((one) => one !== null);
  return known.length > 0 ? summaryOf(known) : null;
}
