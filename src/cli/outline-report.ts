import { HIGH_FREQUENCY_CUTOFF, highFrequencyError, ShapeError, sobelMeanGradient } from '../index.ts';
import { readPicture } from './read-picture.ts';
import { aligned } from './table.ts';

export interface OutlineReport {
  readonly reference: string | null;
  /** Cycles a pixel. */
  readonly cutoff: number;
  readonly pictures: readonly {
    readonly file: string;
    readonly width: number;
    readonly height: number;
    readonly meanGradient: number;
    /** Null without a reference. */
    readonly highFrequencyError: number | null;
  }[];
}

/** The outline metrics of Δ-DiT's Table 1. @throws as `readPicture` and the metrics do, naming the file */
export async function measureOutlines(
  files: readonly string[],
  referenceFile: string | undefined,
  cutoff = HIGH_FREQUENCY_CUTOFF,
): Promise<OutlineReport> {
  const reference = referenceFile === undefined ? undefined : await readPicture(referenceFile);
  const pictures: OutlineReport['pictures'][number][] = [];
  for (const file of files) {
    const picture = await readPicture(file);
    const { width, height } = picture;
    try {
      const meanGradient = sobelMeanGradient(picture);
      const error = reference ? highFrequencyError(picture, reference, cutoff) : null;
      pictures.push({ file, width, height, meanGradient, highFrequencyError: error });
    } catch (error) {
      throw error instanceof ShapeError ? new ShapeError(`${file}: ${error.message}`) : error;
    }
  }
  return { reference: referenceFile ?? null, cutoff, pictures };
}

export function outlineTable({ reference, cutoff, pictures }: OutlineReport): string {
  const head = ['picture', 'mean gradient', ...(reference === null ? [] : ['high-frequency error'])];
  const rows = pictures.map(({ file, meanGradient, highFrequencyError: error }) => [
    file,
    meanGradient.toFixed(3),
    ...(error === null ? [] : [error.toFixed(4)]),
  ]);
  const note = reference === null ? [] : [`against ${reference}, beyond ${cutoff} cycles a pixel`];
  return [...aligned([head, ...rows]), ...note].join('\n');
}
