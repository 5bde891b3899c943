import * as tf from '@tensorflow/tfjs-core';
import { type Block, type BlockRunner, type Modulation, runAllBlocks, runBlock } from '../models/block.ts';
import { layerNormModulate } from '../ops/layer-norm.ts';
import { gatherRows, placeRows, type RowPart, splitRows } from '../ops/rows.ts';
import { replaceBranches, runCachedBranches, watchedBranch } from './cached-branch.ts';
import { addPrediction, residual } from './delta.ts';
import type { BlockPass, BranchWatch, DynamicRun } from './dynamic.ts';
import type { RowTensors } from './row-tensors.ts';
import { type Site, spanSite } from './site.ts';
import type { SiteStore } from './site-store.ts';

/** eps of the norm before self-attention: 1e-6 in both models (models.py DiTBlock, PixArt.py PixArtBlock). */
const NORM_EPS = 1e-6;

/** What a pass works with. */
export interface PassState {
  readonly run: DynamicRun;
  readonly store: SiteStore;
  readonly kept: RowTensors;
  /** Told how many blocks of how many rows were passed, and how many of these computed. */
  readonly count: (passed: number, computed: number) => void;
}

/** The runner of one step of a dynamic method. */
export function dynamicRunner(step: number, state: PassState): BlockRunner {
  return async (blocks, tokens, cond) => {
    const pass = new Pass(step, state, blocks, tokens.clone(), cond);
    try {
      await state.run.blocks?.(step, pass);
      await pass.compute(pass.depth);
      return pass.tokens;
    } catch (error) {
      pass.tokens.dispose();
      throw error;
    }
  };
}

class Pass<C, M extends Modulation> implements BlockPass {
  readonly kept: RowTensors;
  position = 0;

  constructor(
    private readonly step: number,
    private readonly state: PassState,
    private readonly blocks: readonly Block<C, M>[],
    public tokens: tf.Tensor3D,
    private readonly cond: C,
  ) {
    this.kept = state.kept;
  }

  get depth(): number {
    return this.blocks.length;
  }

  get rowCount(): number {
    return this.tokens.shape[0];
  }

  modulatedInput(): tf.Tensor3D {
    const block = this.next();
    return tf.tidy(() => {
      const { shiftMsa, scaleMsa } = block.modulation(this.cond);
      return layerNormModulate(this.tokens, shiftMsa, scaleMsa, NORM_EPS);
    });
  }

  async compute(to: number): Promise<void> {
    if (to <= this.position) return;
    const none = Array<boolean>(this.rowCount).fill(false);
    this.move(to, none, await runAllBlocks(this.blocks.slice(this.position, to), this.tokens, this.cond));
  }

  async span(to: number, reuse: readonly boolean[], watch?: BranchWatch): Promise<void> {
    if (to <= this.position) return;
    const site = this.siteUpTo(to);
    const isDelta = this.state.run.keeps === 'delta';
    const computed = async ({ h, cond, rows }: Group<C>) => {
      const blocks = watch ? watchedBlocks(this.blocks, watch, rows) : this.blocks;
      const hOut = await runAllBlocks(blocks.slice(this.position, to), h, cond);
      this.state.store.put(site, this.step, isDelta ? residual(hOut, h) : hOut.clone(), rows);
      return hOut;
    };
    const reused = async ({ h, rows }: Group<C>) => {
      if (!isDelta) return this.state.store.predict<tf.Tensor3D>(site, this.step, rows);
      const delta = await this.state.store.prediction<tf.Tensor3D>(site, this.step, rows);
      const hOut = addPrediction(h, delta);
      delta.dispose();
      return hOut;
    };
    this.move(to, reuse, await this.split(reuse, computed, reused));
  }

  prediction(to: number, rows: readonly number[]): Promise<tf.Tensor3D> {
    return this.state.store.predict<tf.Tensor3D>(this.siteUpTo(to), this.step, rows);
  }

  async branches(to: number, reuse: readonly boolean[]): Promise<void> {
    if (to <= this.position) return;
    const way = (isReused: boolean) => (group: Group<C>) => this.byBranches(to, group, isReused);
    this.move(to, reuse, await this.split(reuse, way(false), way(true)));
  }

  computeAside(rows: readonly number[]): Promise<tf.Tensor3D> {
    const block = this.next();
    this.state.count(0, rows.length);
    return this.some(rows, async ({ h, cond }) => runBlock(block, h, cond));
  }

  /** Block by block, all branches predicted, or all computed and stored. */
  private async byBranches(to: number, { h, cond, rows }: Group<C>, isReused: boolean): Promise<tf.Tensor3D> {
    const {
      step,
      state: { store },
    } = this;
    let x = h.clone();
    try {
      for (let index = this.position; index < to; index++) {
        const block = this.blocks[index] as Block<C, M>;
        const names = block.branches.map(({ name }) => name);
        const [reuse, record] = isReused ? [names, []] : [[], names];
        const next = await runCachedBranches(block, x, cond, { step, index, reuse, record, rows }, store);
        x.dispose();
        x = next;
      }
      return x;
    } catch (error) {
      x.dispose();
      throw error;
    }
  }

  private siteUpTo(to: number): Site {
    return spanSite({ first: this.position, count: to - this.position });
  }

  private next(): Block<C, M> {
    const block = this.blocks[this.position];
    if (!block) throw new RangeError('the pass is at its end: no block comes next');
    return block;
  }

  /** Sends the rows two ways, each group as a batch of its own, and puts what comes back together. */
  private async split(reuse: readonly boolean[], computed: Way<C>, reused: Way<C>): Promise<tf.Tensor3D> {
    const { yes, no } = splitRows(reuse);
    const parts: RowPart<tf.Tensor3D>[] = [];
    try {
      if (no.length > 0) parts.push({ places: no, value: await this.some(no, computed) });
      if (yes.length > 0) parts.push({ places: yes, value: await this.some(yes, reused) });
      return placeRows(parts, this.rowCount);
    } finally {
      tf.dispose(parts.map(({ value }) => value));
    }
  }

  private async some(rows: readonly number[], way: Way<C>): Promise<tf.Tensor3D> {
    if (rows.length === this.rowCount) return way({ h: this.tokens, cond: this.cond, rows });
    const h = gatherRows(this.tokens, rows);
    const cond = this.next().rows(this.cond, rows);
    try {
      return await way({ h, cond, rows });
    } finally {
      h.dispose();
      tf.dispose(cond as tf.TensorContainer);
    }
  }

  private move(to: number, reuse: readonly boolean[], tokens: tf.Tensor3D): void {
    const passed = to - this.position;
    for (const reused of reuse) this.state.count(passed, reused ? 0 : passed);
    this.tokens.dispose();
    this.tokens = tokens;
    this.position = to;
  }
}

/** Some rows of the batch on their way, or all. */
interface Group<C> {
  readonly h: tf.Tensor3D;
  readonly cond: C;
  readonly rows: readonly number[];
}

/** Borrows the group, gives fresh tokens. */
type Way<C> = (group: Group<C>) => Promise<tf.Tensor3D>;

function watchedBlocks<C, M extends Modulation>(
  blocks: readonly Block<C, M>[],
  { block: watched, branch: name, saw }: BranchWatch,
  rows: readonly number[],
): readonly Block<C, M>[] {
  return blocks.map((block, index) => {
    if (index !== watched) return block;
    return replaceBranches(block, (branch) =>
      branch.name === name ? watchedBranch(branch, (added) => saw(added, rows)) : branch,
    );
  });
}
