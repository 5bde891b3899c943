import { join } from 'node:path';
import {
  type Agreement,
  agreement,
  type FeatureExtractor,
  frechetDistance,
  inceptionScore,
  labelsOf,
  measurePair,
  type PairMeasures,
  type PixelImage,
  piqe,
  ShapeError,
  sobelMeanGradient,
} from '../index.ts';
import { meanOf, medianOf } from '../lab/spread.ts';
import { type Pairing, type PictureFolder, pairPictures } from './picture-folders.ts';
import { readPicture } from './read-picture.ts';
import { wantedSubject } from './wanted-subject.ts';

/** Of many values. Infinite ones are left out of the mean and counted; where all are infinite, so is the mean. */
export interface Summary {
  readonly mean: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly infinite: number;
}

export interface FolderMeasures {
  readonly folder: string;
  readonly pictures: number;
  readonly piqe: Summary;
  readonly meanGradient: Summary;
  /** Null without a classifier, as below. */
  readonly inceptionScore: number | null;
  /** Null where nothing tells what the pictures should show, too. */
  readonly agreement: Agreement | null;
}

/** Numbers that JSON cannot write, as an infinite PSNR, become null there. */
export interface FolderComparison {
  readonly reference: FolderMeasures;
  readonly pictures: FolderMeasures;
  /** Null with `--unpaired`. */
  readonly pairing: { readonly by: Pairing['by']; readonly pairs: number; readonly alone: number } | null;
  readonly pairs: Readonly<Record<keyof PairMeasures, Summary>> | null;
  readonly features: { readonly checkpoint: string; readonly count: number } | null;
  /** Null where a folder holds a single picture, too. */
  readonly frechetDistance: number | null;
  readonly warnings: readonly string[];
}

export interface MeasureOptions {
  readonly unpaired: boolean;
  readonly extractor: FeatureExtractor | undefined;
  /** @param done 0…1 */
  readonly onProgress: (done: number, what: string) => void;
  readonly signal: AbortSignal;
}

/** Pictures that are held and classified together. */
const BATCH_SIZE = 32;

/** @throws as `readPicture` and `pairPictures`; ShapeError naming the files that cannot be compared; AbortError */
export async function measureFolders(
  reference: PictureFolder,
  pictures: PictureFolder,
  options: MeasureOptions,
): Promise<FolderComparison> {
  const { unpaired, extractor } = options;
  const pairing = unpaired ? undefined : pairPictures(reference, pictures);
  const progress = new Progress([reference, pictures], pairing, options);
  const measured = pairing ? await measurePairs(reference.folder, pictures.folder, pairing, progress) : undefined;
  const a = await measureFolder(reference, extractor, progress);
  const b = await measureFolder(pictures, extractor, progress);
  const enough = extractor !== undefined && a.features.length > 1 && b.features.length > 1;
  return {
    reference: a.measures,
    pictures: b.measures,
    pairing: pairing ? { by: pairing.by, pairs: pairing.pairs.length, alone: pairing.alone } : null,
    pairs: measured ?? null,
    features: extractor ? { checkpoint: extractor.name, count: extractor.featureCount } : null,
    frechetDistance: enough ? frechetDistance(a.features, b.features) : null,
    warnings: extractor ? covarianceWarnings(extractor.featureCount, [reference, pictures]) : [],
  };
}

/** A covariance of n pictures has the rank n − 1 at most. */
function covarianceWarnings(features: number, folders: readonly PictureFolder[]): string[] {
  const few = folders.filter(({ names }) => names.length <= features);
  if (few.length === 0) return [];
  const counts = few.map(({ folder, names }) => `${folder} holds ${names.length}`).join(', ');
  return [
    `a covariance of ${features} features needs ${features + 1} pictures, and ${counts}: the Fréchet distance is ` +
      'too large by an amount that depends on their number; compare it only with others of equally many pictures',
  ];
}

async function measurePairs(
  reference: string,
  pictures: string,
  { pairs }: Pairing,
  progress: Progress,
): Promise<FolderComparison['pairs']> {
  const measures: PairMeasures[] = [];
  for (const [first, second] of pairs) {
    progress.next(second);
    const [referencePath, path] = [join(reference, first), join(pictures, second)];
    const pair = [await readPicture(path), await readPicture(referencePath)] as const;
    measures.push(named(`${path} and ${referencePath}`, () => measurePair(...pair)));
  }
  const summary = (measure: keyof PairMeasures) => summaryOf(measures.map((one) => one[measure]));
  return {
    psnr: summary('psnr'),
    ssim: summary('ssim'),
    gradientDifference: summary('gradientDifference'),
    highFrequencyError: summary('highFrequencyError'),
  };
}

interface MeasuredFolder {
  readonly measures: FolderMeasures;
  readonly features: readonly Float32Array[];
}

/** What is kept of a picture once it is measured. */
interface MeasuredPicture {
  readonly piqe: number;
  readonly meanGradient: number;
}

async function measureFolder(
  { folder, names }: PictureFolder,
  extractor: FeatureExtractor | undefined,
  progress: Progress,
): Promise<MeasuredFolder> {
  const measured: MeasuredPicture[] = [];
  const [features, probabilities]: [Float32Array[], Float32Array[]] = [[], []];
  for (let first = 0; first < names.length; first += BATCH_SIZE) {
    const batch: PixelImage[] = [];
    for (const name of names.slice(first, first + BATCH_SIZE)) {
      progress.next(name);
      const path = join(folder, name);
      const picture = await readPicture(path);
      measured.push(named(path, () => ({ piqe: piqe(picture), meanGradient: sobelMeanGradient(picture) })));
      batch.push(picture);
    }
    if (!extractor) continue;
    const rows = await extractor.extract(batch);
    features.push(...rows.features);
    probabilities.push(...rows.probabilities);
  }
  const measures = {
    ...{ folder, pictures: names.length },
    piqe: summaryOf(measured.map((picture) => picture.piqe)),
    meanGradient: summaryOf(measured.map((picture) => picture.meanGradient)),
    inceptionScore: extractor ? inceptionScore(probabilities) : null,
    agreement: extractor ? await folderAgreement(folder, names, extractor, probabilities) : null,
  };
  return { measures, features };
}

async function folderAgreement(
  folder: string,
  names: readonly string[],
  { labels }: FeatureExtractor,
  probabilities: readonly Float32Array[],
): Promise<Agreement | null> {
  const wanted: (readonly number[] | undefined)[] = [];
  for (const name of names) {
    const subject = await wantedSubject(join(folder, name));
    wanted.push(subject && labelsOf(subject, labels));
  }
  return agreement(probabilities, wanted) ?? null;
}

/** Says of which file a metric complains. */
function named<T>(files: string, measure: () => T): T {
  try {
    return measure();
  } catch (error) {
    throw error instanceof ShapeError ? new ShapeError(`${files}: ${error.message}`) : error;
  }
}

export function summaryOf(values: readonly number[]): Summary {
  const finite = values.filter(Number.isFinite);
  return {
    mean: finite.length > 0 ? meanOf(finite) : Number.POSITIVE_INFINITY,
    median: medianOf(values),
    min: values.reduce((least, value) => Math.min(least, value)),
    max: values.reduce((most, value) => Math.max(most, value)),
    infinite: values.length - finite.length,
  };
}

class Progress {
  private readonly total: number;
  private done = 0;

  constructor(
    folders: readonly PictureFolder[],
    pairing: Pairing | undefined,
    private readonly options: MeasureOptions,
  ) {
    this.total = folders.reduce((sum, { names }) => sum + names.length, pairing?.pairs.length ?? 0);
  }

  /** Before a picture. @throws AbortError when stopped */
  next(name: string): void {
    this.options.signal.throwIfAborted();
    this.options.onProgress(this.done++ / this.total, name);
  }
}
