import { checkWhole } from '../cache/stage-planner.ts';
import { BackendError } from '../errors.ts';
import { checkAborted } from '../pipelines/sample.ts';
import type { BenchProgress } from './bench-progress.ts';
import type { Rival } from './bench-torch.ts';
import { type Spread, spreadOf } from './spread.ts';
import { timeRun, type Workload } from './workload.ts';

export interface SpeedOptions {
  readonly rounds: number;
  readonly rival?: Rival | undefined;
  readonly onProgress?: ((progress: BenchProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds of what is measured: one block of a chain, one forward of a model. */
export interface SpeedReport {
  readonly rounds: number;
  readonly ms: Spread;
  readonly times: readonly number[];
  readonly pytorch: RivalReport | null;
}

export interface RivalReport {
  readonly versions: string;
  /** Ours ÷ PyTorch, of the rounds. */
  readonly ratio: Spread;
  readonly ms: Spread;
  readonly times: readonly number[];
  /** ‖ours − its‖ ÷ ‖its‖ of what both compute. */
  readonly relativeL2: number;
}

export const MAX_ROUNDS = 10_000;
/** Of float32 sums in another order, over a whole model; what is farther is another computation. */
export const SAME = 1e-3;

/**
 * Times a workload, after a run that is not counted; with a rival, the two one right after the other in alternating
 * order, so that a machine that is shared or grows warm favours neither.
 * @throws OptionError for rounds out of range; BackendError when the two compute different things; AbortError
 */
export async function benchSpeed(workload: Workload, options: SpeedOptions): Promise<SpeedReport> {
  const { rounds, rival, onProgress, signal } = options;
  checkWhole('rounds', rounds, 1, MAX_ROUNDS, 'timed runs');
  await timeRun(workload);
  await rival?.run();
  const relativeL2 = (await rival?.relativeL2()) ?? 0;
  if (!(relativeL2 <= SAME))
    throw new BackendError(`PyTorch computes something else: the results differ by ${relativeL2.toExponential(1)}`);
  const sides: ReadonlyMap<'ours' | 'theirs', number[]> = new Map([
    ['ours', []],
    ['theirs', []],
  ]);
  for (let round = 0; round < rounds; round++) {
    checkAborted(signal, `before round ${round + 1} of ${rounds}`);
    for (const side of round % 2 === 0 ? sides.keys() : [...sides.keys()].reverse()) {
      const ms = side === 'ours' ? await timeRun(workload) : await rival?.run();
      if (ms !== undefined) sides.get(side)?.push(ms / workload.count);
    }
    onProgress?.({ done: (round + 1) / rounds, what: `round ${round + 1} of ${rounds}` });
  }
  const [ours = [], theirs = []] = [...sides.values()];
  return {
    ...{ rounds, ms: spreadOf(ours), times: ours },
    pytorch: rival ? { versions: rival.versions, ...compared(ours, theirs), relativeL2 } : null,
  };
}

function compared(ours: readonly number[], theirs: readonly number[]): Pick<RivalReport, 'ratio' | 'ms' | 'times'> {
  const ratios = ours.map((ms, i) => ms / (theirs[i] ?? Number.NaN));
  return { ratio: spreadOf(ratios), ms: spreadOf(theirs), times: theirs };
}
