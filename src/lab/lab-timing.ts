import { checkWhole } from '../cache/stage-planner.ts';
import { OptionError } from '../errors.ts';
import type { Painter, PaintOptions } from '../pipelines/painter.ts';
import { type BenchProgress, BlockCount } from './bench-progress.ts';
import { type LabMethod, samplingOf } from './lab-method.ts';
import { expectedBlocks } from './lab-run.ts';
import type { BenchPicture } from './method-tally.ts';
import { prepareSubjects } from './subjects.ts';

/** One run of a method that was made for its time alone. */
export interface LabTiming {
  readonly method: string;
  /** 0… */
  readonly round: number;
  /** That ran together. */
  readonly pictures: number;
  /** Wall time of the sampling loop. */
  readonly samplingSeconds: number;
  /** The same of the baseline, by the same process in the same round. */
  readonly baselineSeconds: number;
}

/** Where timings lie, so that a laboratory that was stopped goes on where it was. */
export interface TimingStore {
  readonly timings: readonly LabTiming[];
  add(timing: LabTiming): Promise<void>;
}

export interface TimingOptions extends Pick<PaintOptions, 'guidanceScale' | 'width' | 'height' | 'signal'> {
  /** Round r paints the r-th of them, or the r-th batch. */
  readonly pictures: readonly BenchPicture[];
  readonly rounds: number;
  /** Pictures that run together. */
  readonly batchSize: number;
  /** What ratios refer to. */
  readonly baseline: LabMethod;
  readonly store: TimingStore;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
}

const MAX_ROUNDS = 1000;
const MAX_BATCH_SIZE = 256;

/**
 * Times every method in turn, round by round, there and back, the baseline at the head of each round; after one run of
 * each that is not counted, since the first one compiles and fills caches. Pictures are thrown away. What the store has is
 * not timed again.
 * @throws OptionError for rounds or batchSize out of range; AbortError when stopped, what is timed being stored
 */
export async function timeLab(painter: Painter, methods: readonly LabMethod[], options: TimingOptions): Promise<void> {
  const { pictures, rounds, batchSize, baseline, store } = options;
  checkWhole('rounds', rounds, 1, MAX_ROUNDS, 'times that each method is timed');
  checkWhole('batchSize', batchSize, 1, MAX_BATCH_SIZE, 'pictures that run together');
  if (pictures.length === 0) throw new OptionError('pictures: expected at least one, got none');
  const wanted = missingRounds(methods, options);
  const [next] = wanted;
  if (!next) return;
  const subjects = wanted.flatMap(({ round }) => batchOf(round, options).map(({ subject }) => subject));
  await prepareSubjects(painter, [...new Set(subjects)], options);
  const warmedUp = [baseline, ...methods.filter((method) => wanted.some((one) => one.methods.includes(method)))];
  const runs = [warmedUp, ...wanted.map((one) => [baseline, ...one.methods])].flat();
  const blocks = batchSize * runs.reduce((sum, method) => sum + expectedBlocks(painter, method), 0);
  const count = new BlockCount(blocks, options.onProgress);
  for (const method of warmedUp) await secondsOf(painter, method, next.round, { ...options, count, what: 'warm-up' });
  for (const { round, methods: inTurn } of wanted) {
    const run = { ...options, count, what: `round ${round + 1} of ${rounds}` };
    const baselineSeconds = await secondsOf(painter, baseline, round, run);
    const add = (method: LabMethod, samplingSeconds: number) =>
      store.add({ method: method.name, round, pictures: batchSize, samplingSeconds, baselineSeconds });
    if (!isTimed(baseline, round, store)) await add(baseline, baselineSeconds);
    for (const method of inTurn) await add(method, await secondsOf(painter, method, round, run));
  }
}

async function secondsOf(
  painter: Painter,
  method: LabMethod,
  round: number,
  options: TimingOptions & { readonly count: BlockCount; readonly what: string },
): Promise<number> {
  const { guidanceScale, width, height, signal, count, what, batchSize } = options;
  const batch = batchOf(round, options);
  const seed = batch.map((picture) => picture.seed);
  const onStep = count.steps(`${method.name}, ${what}`, batchSize);
  const run = { ...samplingOf(method), guidanceScale, width, height, signal, seed, onStep };
  const subjects = batch.map(({ subject }) => subject);
  return (await painter.paint(subjects, run)).report.samplingSeconds;
}

interface WantedRound {
  readonly round: number;
  /** Without the baseline. */
  readonly methods: readonly LabMethod[];
}

function missingRounds(
  methods: readonly LabMethod[],
  { rounds, baseline, store }: Pick<TimingOptions, 'rounds' | 'baseline' | 'store'>,
): readonly WantedRound[] {
  return Array.from({ length: rounds }, (_, round) => {
    const missing = methods.filter((method) => method.name !== baseline.name && !isTimed(method, round, store));
    return { round, methods: round % 2 === 0 ? missing : missing.toReversed() };
  }).filter((one) => one.methods.length > 0 || !isTimed(baseline, one.round, store));
}

function isTimed({ name }: LabMethod, round: number, { timings }: TimingStore): boolean {
  return timings.some((timing) => timing.method === name && timing.round === round);
}

function batchOf(round: number, { pictures, batchSize }: TimingOptions): readonly BenchPicture[] {
  return Array.from({ length: batchSize }, (_, i) => {
    const picture = pictures[(round * batchSize + i) % pictures.length];
    if (!picture) throw new RangeError('no picture to paint');
    return picture;
  });
}
