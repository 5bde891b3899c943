import type { BlockMap } from './messages.ts';

/** What a step costs besides its blocks, in blocks: embeddings and head. Only guesses of time depend on it. */
const STEP_OVERHEAD = 1;

/** Of a run, blocks to compute: all of a step of which nothing is known. */
export function costOf(columns: BlockMap, steps: number, depth: number): number {
  return Array.from({ length: steps }, (_, step) => columns[step]).reduce((sum, column) => {
    const reused = column?.filter((cell) => cell === 'reused').length ?? 0;
    const partly = column?.filter((cell) => cell === 'partly').length ?? 0;
    return sum + depth - reused - partly / 2 + STEP_OVERHEAD;
  }, 0);
}

/** How far all runs together are, and how long they will take, by what their steps took so far. */
export class TimeLeft {
  private spent = 0;
  private seconds = 0;
  private total = 0;

  /** What is to come is known, or known better. @param blocks of all runs that are not begun */
  expect(blocks: number): void {
    this.total = this.spent + blocks;
  }

  step(blocks: number, seconds: number): void {
    this.spent += blocks + STEP_OVERHEAD;
    this.seconds += seconds;
  }

  /** 0…1 */
  get done(): number {
    return this.total === 0 ? 0 : Math.min(1, this.spent / this.total);
  }

  /** In seconds; undefined before the first step. */
  get left(): number | undefined {
    return this.spent === 0 ? undefined : (this.seconds * Math.max(0, this.total - this.spent)) / this.spent;
  }
}
