import * as tf from '@tensorflow/tfjs-core';
import type { CachePolicy } from '../../src/cache/policy.ts';
import type { CacheCounts } from '../../src/cache/run-cache.ts';
import { type Block, type BlockRunner, type BranchName, gatedBranch, type Modulation } from '../../src/models/block.ts';
import { joinResidual } from '../../src/ops/layer-norm.ts';
import { gatherRows } from '../../src/ops/rows.ts';
import type { Denoiser } from '../../src/pipelines/guidance.ts';
import { type Subject, startedCache } from './policy-run.ts';

/** One gate a row [N,D]: rows are told apart by it, and so are steps. */
interface RowGates {
  readonly gates: tf.Tensor2D;
}

/** What a branch of a block gives before its gate. */
export type FakeRaw = (x: tf.Tensor3D, block: number, branch: BranchName) => tf.Tensor3D;

/** Counts what is evaluated, in rows. */
export class FakeBlocks {
  /** Branch evaluations so far, a row each. */
  evaluated = 0;
  /** The blocks whose self-attention was evaluated, in order. */
  readonly log: number[] = [];
  /** A block that fails when it is evaluated. */
  failing = -1;
  readonly branches: readonly BranchName[] = ['self', 'mlp'];
  readonly blocks: readonly Block<RowGates>[];

  constructor(
    readonly depth: number,
    raw: FakeRaw = mixing,
  ) {
    this.blocks = Array.from({ length: depth }, (_, index) => ({
      modulation: ({ gates }: RowGates): Modulation => {
        const zeros = tf.zerosLike(gates);
        const mod = { shiftMsa: zeros, scaleMsa: zeros, gateMsa: gates.clone() };
        return { ...mod, shiftMlp: zeros, scaleMlp: zeros, gateMlp: gates.clone() };
      },
      rows: ({ gates }: RowGates, rows: readonly number[]) => ({ gates: gatherRows(gates, rows) }),
      branches: this.branches.map((name) =>
        gatedBranch<Modulation>(
          name,
          (mod) => mod.gateMsa,
          (x, _, { residual }) => {
            if (index === this.failing) throw new Error('block failed');
            this.evaluated += x.shape[0];
            if (name === 'self') this.log.push(index);
            return tf.tidy(() => joinResidual(raw(x, index, name), residual));
          },
        ),
      ),
    }));
  }
}

/** In which every block, branch and row shows; tokens of a row mix, rows do not. */
const mixing: FakeRaw = (x, block, branch) => {
  const bias = (block + 1) / 10;
  if (branch === 'mlp') return tf.sin(tf.add(tf.mul(x, 1 + bias), bias));
  return tf.mul(tf.tanh(tf.add(tf.add(x, tf.mean(x, 1, true)), bias)), 0.5);
};

export interface FakeGuidance {
  /** Gates of a sample and guidance half at a timestep, 999 → 0. Default: samples change at speeds of their own. */
  readonly gateOf?: (sample: number, half: number, timestep: number) => number;
  /** The samples of the run, by number. */
  readonly samples: readonly number[];
}

const CHANNELS = 4;

const atOwnSpeed = (sample: number, half: number, timestep: number) =>
  0.3 + 0.05 * sample + 0.02 * half + [0.02, 0.5, 0.15, 0.3][sample % 4]! * (1 - timestep / 1000);

/** A subject of the conformance suite over fake blocks: latents [N,H,W,4] are the tokens [N,H·W,4] of both halves. */
export function fakeSubject(blocks: FakeBlocks, size = 2): Subject {
  const { depth, branches } = blocks;
  const denoiserOf = (samples: readonly number[]) => fakeDenoiser(blocks, { samples });
  return { depth, branches, latentShape: [size, size, CHANNELS], tokensPerRow: CHANNELS * size * size, denoiserOf };
}

/** A guided model over fake blocks. */
export function fakeDenoiser({ blocks }: FakeBlocks, { samples, gateOf = atOwnSpeed }: FakeGuidance): Denoiser {
  return async (x, timestep, run, rows) => {
    const own = rows ? rows.map((row) => samples[row]!) : samples;
    const gates = [0, 1].flatMap((half) => own.map((sample) => gateOf(sample, half, timestep)));
    const cond: RowGates = { gates: tf.tensor2d(gates.map((gate) => Array<number>(CHANNELS).fill(gate))) };
    const tokens = tf.tidy(() => tf.reshape(tf.concat([x, x]), [2 * own.length, -1, CHANNELS]) as tf.Tensor3D);
    try {
      const out = await run(blocks, tokens, cond);
      const eps = tf.tidy(() => {
        const [c, u] = tf.split(out, 2) as [tf.Tensor3D, tf.Tensor3D];
        const guided = tf.reshape(tf.add(u, tf.mul(tf.sub(c, u), 1.5)), x.shape);
        return tf.add(tf.mul(x, 0.9), tf.mul(guided, 0.02)) as tf.Tensor4D; // near the noise, so that a run is smooth
      });
      out.dispose();
      return { eps };
    } finally {
      tf.dispose([tokens, cond.gates]);
    }
  };
}

export interface ReplayOptions {
  readonly policy: CachePolicy;
  readonly steps: number;
  /** What a row is given at a step: its tokens [4,4], flat, and its gates. */
  readonly at: (step: number, row: number) => { readonly tokens: readonly number[]; readonly gate: number };
  /** By number. Default [0]. */
  readonly rows?: readonly number[];
  /** Default 3. */
  readonly depth?: number;
  /** What the method is told; above 1 the rows are the guidance halves of half as many samples. Default 1. */
  readonly guidanceScale?: number;
  readonly raw?: (x: tf.Tensor3D, block: number, branch: BranchName, step: number) => tf.Tensor3D;
}

export interface Replay {
  /** Tokens after each step, flat. */
  readonly outputs: Float32Array[];
  /** The blocks evaluated at each step, in order; once for each group of rows. */
  readonly evaluated: number[][];
  readonly counts: CacheCounts;
}

/** Runs fake blocks at inputs that are given, without guidance or sampler. */
export async function replay({
  policy,
  steps,
  at,
  rows = [0],
  depth = 3,
  guidanceScale,
  raw,
}: ReplayOptions): Promise<Replay> {
  let now = 0;
  const fake = new FakeBlocks(depth, raw && ((x, block, branch) => raw(x, block, branch, now)));
  const timesteps = Array.from({ length: steps }, (_, step) => 999 - step);
  const cache = startedCache(fake, policy, 'ddim', timesteps, guidanceScale);
  const outputs: Float32Array[] = [];
  const evaluated: number[][] = [];
  try {
    for (; now < steps; now++) {
      const given = rows.map((row) => at(now, row));
      const latents = tf.tensor4d(
        given.flatMap(({ tokens }) => tokens),
        [rows.length, 2, 2, CHANNELS],
      );
      const output = await cache.output(now, latents, (x, some) => {
        const gates = some ? some.map((row) => given[row]!.gate) : given.map(({ gate }) => gate);
        return runTokens(cache.atStep(now), fake, x, gates);
      });
      outputs.push((await output.data()) as Float32Array);
      evaluated.push(fake.log.splice(0));
      tf.dispose([latents, output]);
    }
    return { outputs, evaluated, counts: cache.counts };
  } finally {
    cache.dispose();
  }
}

async function runTokens(run: BlockRunner, { blocks }: FakeBlocks, x: tf.Tensor4D, gates: readonly number[]) {
  const cond: RowGates = { gates: tf.tensor2d(gates.map((gate) => Array<number>(CHANNELS).fill(gate))) };
  const tokens = tf.reshape(x, [gates.length, -1, CHANNELS]) as tf.Tensor3D;
  const out = await run(blocks, tokens, cond);
  const shaped = tf.reshape(out, x.shape) as tf.Tensor4D;
  tf.dispose([out, tokens, cond.gates]);
  return shaped;
}

/** Tokens that differ, moved by an offset. */
export function wave(offset: number): number[] {
  return Array.from({ length: 4 * CHANNELS }, (_, i) => Math.sin(i) / 2 + offset);
}
