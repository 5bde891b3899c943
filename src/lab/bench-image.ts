import type { CachePolicy } from '../cache/policy.ts';
import { checkWhole } from '../cache/stage-planner.ts';
import { BackendError } from '../errors.ts';
import { checkAborted } from '../pipelines/sample.ts';
import type { BenchProgress } from './bench-progress.ts';
import { MAX_ROUNDS, SAME } from './bench-speed.ts';
import { type PaintedRun, type PictureRival, relativeDistance } from './bench-torch.ts';
import type { ImageWorkload } from './image-workload.ts';
import { type Spread, spreadOf } from './spread.ts';

export interface ImageOptions {
  readonly rounds: number;
  /** A method that is timed, too. */
  readonly cache?: CachePolicy | undefined;
  readonly rival?: PictureRival | undefined;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Of the rounds: all steps, the autoencoder, and both. */
export type StageSpreads = Readonly<Record<keyof PaintedRun | 'picture', Spread>>;

/** Seconds of one side. */
export interface PictureTimes {
  readonly seconds: StageSpreads;
  readonly rounds: readonly PaintedRun[];
}

export interface ImageReport {
  readonly rounds: number;
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly uncached: PictureTimes;
  readonly cached: (PictureTimes & { readonly name: string }) | null;
  readonly pytorch: TorchPictures | null;
}

export interface TorchPictures extends PictureTimes {
  readonly versions: string;
  /** Ours ÷ PyTorch, of the rounds. */
  readonly ratio: { readonly uncached: StageSpreads; readonly cached: StageSpreads | null };
  /** ‖ours − its‖ ÷ ‖its‖, uncached: of the latents after the last step, and of the decoded floats. */
  readonly relativeL2: { readonly latents: number; readonly images: number };
}

type Side = 'uncached' | 'cached' | 'pytorch';

/**
 * Times whole pictures, after a run of each side that is not counted: uncached, under a cache method, and in PyTorch, one
 * right after the other, each round beginning with the next side, so that a machine that is shared or grows warm favours
 * none. Ours counts all that happens until the last step is done, also what lies between steps.
 * @throws OptionError for rounds out of range; BackendError when PyTorch makes another picture; AbortError
 */
export async function benchImage(workload: ImageWorkload, options: ImageOptions): Promise<ImageReport> {
  const { rounds, cache, rival, onProgress, signal } = options;
  checkWhole('rounds', rounds, 1, MAX_ROUNDS, 'timed runs');
  const sides = new Map<Side, () => Promise<PaintedRun>>([['uncached', () => workload.run({ signal })]]);
  if (cache) sides.set('cached', () => workload.run({ cache, signal }));
  if (rival) sides.set('pytorch', () => rival.run());
  const relativeL2 = await warmUp(workload, options);
  const times: Record<Side, PaintedRun[]> = { uncached: [], cached: [], pytorch: [] };
  for (let round = 0; round < rounds; round++) {
    for (const [side, run] of rotated([...sides], round)) {
      const what = `${side}, round ${round + 1} of ${rounds}`;
      checkAborted(signal, `before ${what}`);
      onProgress?.({ done: round / rounds, what });
      const { sampling, decoding } = await run();
      times[side].push({ sampling, decoding });
    }
  }
  const { numInferenceSteps, guidanceScale } = workload;
  return {
    ...{ rounds, numInferenceSteps, guidanceScale, uncached: timesOf(times.uncached) },
    cached: cache ? { name: cache.name, ...timesOf(times.cached) } : null,
    pytorch: rival && relativeL2 ? { versions: rival.versions, ...compared(times), relativeL2 } : null,
  };
}

/** A run of each side, and how far apart ours and PyTorch's are. */
async function warmUp(
  workload: ImageWorkload,
  { cache, rival, signal }: ImageOptions,
): Promise<TorchPictures['relativeL2'] | undefined> {
  const ours = await workload.run({ signal });
  if (cache) await workload.run({ cache, signal });
  await rival?.run();
  const theirs = await rival?.floats();
  if (!theirs) return undefined;
  const latents = relativeDistance(ours.latents, theirs.latents);
  const images = relativeDistance(ours.images, theirs.images);
  for (const [what, difference] of Object.entries({ latents, 'decoded pictures': images })) {
    if (!(difference <= SAME))
      throw new BackendError(`PyTorch makes another picture: the ${what} differ by ${difference.toExponential(1)}`);
  }
  return { latents, images };
}

function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const first = by % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

function timesOf(rounds: readonly PaintedRun[]): PictureTimes {
  return { seconds: spreadsOf(rounds.map(withPicture)), rounds };
}

function compared(
  times: Readonly<Record<Side, readonly PaintedRun[]>>,
): Omit<TorchPictures, 'versions' | 'relativeL2'> {
  const theirs = times.pytorch.map(withPicture);
  const ratio = (ours: readonly PaintedRun[]) =>
    spreadsOf(
      theirs.map((their, i) => {
        const our = withPicture(ours[i] ?? MISSING);
        const { sampling, decoding, picture } = our;
        return {
          sampling: sampling / their.sampling,
          decoding: decoding / their.decoding,
          picture: picture / their.picture,
        };
      }),
    );
  const cached = times.cached.length > 0 ? ratio(times.cached) : null;
  return { ...timesOf(times.pytorch), ratio: { uncached: ratio(times.uncached), cached } };
}

const MISSING: PaintedRun = { sampling: Number.NaN, decoding: Number.NaN };

type Stages = PaintedRun & { readonly picture: number };

function withPicture({ sampling, decoding }: PaintedRun): Stages {
  return { sampling, decoding, picture: sampling + decoding };
}

function spreadsOf(rounds: readonly Stages[]): StageSpreads {
  const of = (stage: keyof Stages) => spreadOf(rounds.map((round) => round[stage]));
  return { sampling: of('sampling'), decoding: of('decoding'), picture: of('picture') };
}
