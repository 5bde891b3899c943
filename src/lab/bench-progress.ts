import type { StepEvent } from '../pipelines/sample.ts';

/** How far a bench has come. */
export interface BenchProgress {
  /** 0…1, by blocks computed. */
  readonly done: number;
  /** What is running. */
  readonly what: string;
}

/** Counts the blocks of many runs, so that a cached step counts for what it costs. */
export class BlockCount {
  private computed = 0;

  /** @param total blocks of all runs */
  constructor(
    private readonly total: number,
    private readonly onProgress: ((progress: BenchProgress) => void) | undefined,
  ) {}

  /** The `onStep` of a run. @param pictures that run together */
  steps(what: string, pictures = 1): (event: StepEvent) => void {
    return ({ blocks }) => {
      this.computed += pictures * blocks;
      this.onProgress?.({ done: this.computed / this.total, what });
    };
  }
}
