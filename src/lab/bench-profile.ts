import * as tf from '@tensorflow/tfjs-core';
import type { BranchHooks } from '../layers/hooks.ts';
import type { Block, BlockRunner, Modulation } from '../models/block.ts';
import { medianOf } from './spread.ts';
import { computed, timeRun, type Workload } from './workload.ts';

/** What a step is made of. `ends`: embedders and final layer; `modulation`: the blocks' adaLN. */
export const STEP_PARTS = ['linear', 'attention', 'norms', 'activations', 'gates', 'modulation', 'ends'] as const;
export type StepPart = (typeof STEP_PARTS)[number];

export interface ProfileReport {
  readonly rounds: number;
  /** Milliseconds of a run by part, means over the rounds: they add up to `profiledMs`. */
  readonly parts: Readonly<Record<StepPart, number>>;
  readonly profiledMs: number;
  /** Of a run that is not watched, median: what a backend fuses of a branch is taken apart to be watched. */
  readonly ms: number;
  /** Of a watched run, 0…1. */
  readonly outsideBlocks: number;
}

/**
 * Where the time of a run goes. Each moment belongs to the part that is being computed, so that nothing is left over;
 * that needs a backend that computes as it is called, as all but those on a GPU do.
 */
export async function profileWorkload(workload: Workload, rounds: number): Promise<ProfileReport> {
  await timeRun(workload);
  const stopwatch = new Stopwatch();
  const unwatched: number[] = [];
  for (let round = 0; round < rounds; round++) {
    unwatched.push(await timeRun(workload));
    stopwatch.start();
    const result = await workload.run(watchedRunner(stopwatch));
    await computed(result);
    stopwatch.lap('ends');
    result.dispose();
  }
  const parts = stopwatch.means(rounds);
  const profiledMs = STEP_PARTS.reduce((sum, part) => sum + parts[part], 0);
  return { rounds, parts, profiledMs, ms: medianOf(unwatched), outsideBlocks: parts.ends / profiledMs };
}

/** Gives the time since the last lap to a part. */
class Stopwatch {
  private readonly total = new Map<StepPart, number>();
  private last = 0;

  start(): void {
    this.last = performance.now();
  }

  lap(part: StepPart): void {
    const now = performance.now();
    this.total.set(part, (this.total.get(part) ?? 0) + now - this.last);
    this.last = now;
  }

  means(rounds: number): Record<StepPart, number> {
    const mean = (part: StepPart) => (this.total.get(part) ?? 0) / rounds;
    return Object.fromEntries(STEP_PARTS.map((part) => [part, mean(part)])) as Record<StepPart, number>;
  }
}

/** Runs all blocks branch by branch, with its hooks between their parts. */
function watchedRunner(stopwatch: Stopwatch): BlockRunner {
  return async (blocks, tokens, cond) => {
    stopwatch.lap('ends');
    let x = tokens.clone();
    for (const block of blocks) {
      const next = tf.tidy(() => watchedBlock(block, x, cond, stopwatch));
      x.dispose();
      x = next;
    }
    stopwatch.lap('gates'); // what was freed
    return x;
  };
}

function watchedBlock<C, M extends Modulation>(
  block: Block<C, M>,
  tokens: tf.Tensor3D,
  cond: C,
  stopwatch: Stopwatch,
): tf.Tensor3D {
  const hooks = watchingHooks(stopwatch);
  const mod = block.modulation(cond);
  stopwatch.lap('modulation');
  return block.branches.reduce((x, branch) => {
    const raw = branch.raw(x, mod, hooks);
    stopwatch.lap('linear'); // a branch ends with one
    const merged = branch.merge(x, raw, mod);
    stopwatch.lap('gates');
    return merged;
  }, tokens);
}

/** What comes before a linear is a norm, except for the MLP's second, which an activation precedes. */
function watchingHooks(stopwatch: Stopwatch): BranchHooks {
  const between = (name: string): StepPart => {
    if (name === 'fc2') return 'activations';
    return name === 'proj' || name === 'kv_linear' ? 'attention' : 'norms';
  };
  return {
    linear: (name, _, compute) => {
      stopwatch.lap(between(name));
      const result = compute();
      stopwatch.lap('linear');
      return result;
    },
    attention: (_, compute) => {
      stopwatch.lap('linear');
      const result = compute();
      stopwatch.lap('attention');
      return result;
    },
  };
}
