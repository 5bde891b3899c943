import * as tf from '@tensorflow/tfjs-core';
import type { BlockRunner } from '../models/block.ts';
import { gatherRows, placeRows, type RowPart, splitRows } from '../ops/rows.ts';
import type { DynamicRun, ModelPass } from './dynamic.ts';
import { dynamicRunner } from './dynamic-blocks.ts';
import type { OutputForm } from './output-form.ts';
import { predictorOf } from './predictors/named.ts';
import { RowTensors } from './row-tensors.ts';
import type { CacheCounts, ComputeModel, RunCache } from './run-cache.ts';
import { MODEL_SITE } from './site.ts';
import { SiteStore } from './site-store.ts';

/** The state of one run under a method that decides as it runs. */
export class DynamicCache implements RunCache {
  private readonly store: SiteStore;
  private readonly kept = new RowTensors();
  private readonly stepBlocks: number[] = [];
  private reused = 0;
  /** Of the step: blocks passed and computed, summed over the rows that ran; the part of the samples that ran. */
  private passed = 0;
  private computed = 0;
  private ran = 1;

  /** @param depth blocks of the model */
  constructor(
    private readonly run: DynamicRun,
    readonly depth: number,
    private readonly form: OutputForm,
  ) {
    this.store = new SiteStore(predictorOf(run.predictor));
  }

  get counts(): CacheCounts {
    return {
      blocksComputed: this.stepBlocks.reduce((sum, blocks) => sum + blocks, 0),
      blocksReused: this.reused,
      stepBlocks: this.stepBlocks,
      peakCachedBytes: this.store.peakBytes + this.kept.peakBytes,
      ...(this.run.signals && { signals: this.run.signals }),
    };
  }

  atStep(step: number): BlockRunner {
    return dynamicRunner(step, {
      ...{ run: this.run, store: this.store, kept: this.kept },
      count: (passed, computed) => {
        this.passed += passed;
        this.computed += computed;
      },
    });
  }

  async output(step: number, latents: tf.Tensor4D, compute: ComputeModel): Promise<tf.Tensor4D> {
    const output = this.run.model
      ? await this.drivenOutput(step, latents, compute, this.run.model.bind(this.run))
      : await compute(latents);
    const blocks = this.passed === 0 ? 0 : (this.ran * this.depth * this.computed) / this.passed;
    this.stepBlocks.push(blocks);
    this.reused += this.depth - blocks;
    [this.passed, this.computed, this.ran] = [0, 0, 1];
    return output;
  }

  dispose(): void {
    this.store.dispose();
    this.kept.dispose();
  }

  private async drivenOutput(
    step: number,
    latents: tf.Tensor4D,
    compute: ComputeModel,
    drive: NonNullable<DynamicRun['model']>,
  ): Promise<tf.Tensor4D> {
    let output: tf.Tensor4D | undefined;
    const pass: ModelPass = {
      ...{ rowCount: latents.shape[0], latents, kept: this.kept },
      run: async (reuse) => {
        if (output) throw new RangeError(`step ${step} ran the model twice`);
        output = await this.someOutputs(step, latents, compute, reuse);
        return output;
      },
    };
    try {
      await drive(step, pass);
      return output ?? (await pass.run(Array<boolean>(pass.rowCount).fill(false)));
    } catch (error) {
      output?.dispose();
      throw error;
    }
  }

  /** Samples of `reuse` predicted, the others computed as a batch of their own and stored. */
  private async someOutputs(
    step: number,
    latents: tf.Tensor4D,
    compute: ComputeModel,
    reuse: readonly boolean[],
  ): Promise<tf.Tensor4D> {
    const { yes, no } = splitRows(reuse);
    this.ran = no.length / reuse.length;
    const parts: RowPart<tf.Tensor4D>[] = [];
    try {
      if (no.length > 0) parts.push({ places: no, value: await this.computedOutput(step, latents, compute, no) });
      if (yes.length > 0) {
        const kept = await this.store.predict<tf.Tensor4D>(MODEL_SITE, step, yes);
        const predicted = tf.tidy(() => this.form.toOutput(kept, gatherRows(latents, yes), step));
        kept.dispose();
        parts.push({ places: yes, value: predicted });
      }
      return placeRows(parts, reuse.length);
    } finally {
      tf.dispose(parts.map(({ value }) => value));
    }
  }

  private async computedOutput(
    step: number,
    latents: tf.Tensor4D,
    compute: ComputeModel,
    rows: readonly number[],
  ): Promise<tf.Tensor4D> {
    const all = rows.length === latents.shape[0];
    const own = all ? latents.clone() : gatherRows(latents, rows);
    try {
      const output = await compute(own, all ? undefined : rows);
      this.store.put(MODEL_SITE, step, this.form.toKept(output, own, step), rows);
      return output;
    } finally {
      own.dispose();
    }
  }
}
