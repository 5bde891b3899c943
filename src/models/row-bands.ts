/**
 * Activations held as bands of rows, and work on them band by band. Letters: N samples, H×W positions, C channels.
 */
import * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import type { BandEdges } from '../layers/conv2d.ts';
import { type GroupMoments, groupMoments, mergeGroupMoments } from '../ops/group-norm.ts';

/** Rows `first` … `end` − 1 of an image, and which of its edges they reach. */
export interface RowRange extends BandEdges {
  readonly first: number;
  readonly end: number;
}

interface Band {
  readonly first: number;
  readonly end: number;
  readonly tensor: tf.Tensor4D;
}

/** One activation [N,H,W,C] from its first row on: bands are added below, and freed from above once they are used up. */
export class RowBands {
  private bands: Band[] = [];
  private end = 0;

  /** Of the rows so far, [N,H,W,C]. */
  get shape(): readonly [number, number, number, number] {
    const [n = 0, , width = 0, channels = 0] = this.bands[0]?.tensor.shape ?? [];
    return [n, this.end, width, channels];
  }

  /** @param band [N,rows,W,C], which is the activation's own from now on */
  push(band: tf.Tensor4D): void {
    const first = this.end;
    this.end += band.shape[1];
    this.bands.push({ first, end: this.end, tensor: band });
  }

  /** A copy of the rows, as many neighbours above and below with it as `halo` says and the image has. */
  rows(range: RowRange, halo = 0): tf.Tensor4D {
    const first = Math.max(0, range.first - halo);
    const end = Math.min(this.end, range.end + halo);
    return tf.tidy(() => {
      const parts = this.bands
        .filter((band) => band.first < end && band.end > first)
        .map((band) => rowsOf(band, Math.max(first, band.first), Math.min(end, band.end)));
      return tf.concat(parts, 1);
    });
  }

  /** Frees what the ranges below `range` do not read with the halo: after the last one, everything. */
  freeBefore(range: RowRange, halo = 0): void {
    this.freeAbove(range.below ? this.end : range.end - halo);
  }

  /** The whole activation; all its bands are still there. @returns [N,H,W,C], for the caller to dispose */
  join(): tf.Tensor4D {
    return this.rows({ first: 0, end: this.end, above: true, below: true });
  }

  /** GroupNorm's statistics over all rows, for the caller to dispose. */
  groupMoments(numGroups: number): GroupMoments {
    const { mean, variance, count } = tf.tidy(() => ({
      ...mergeGroupMoments(this.bands.map(({ tensor }) => groupMoments(tensor, numGroups))),
    }));
    return { mean, variance, count };
  }

  dispose(): void {
    this.freeAbove(this.end);
  }

  /** What is left of a band is copied, so that no more than the rows in use are held. */
  private freeAbove(row: number): void {
    this.bands = this.bands.flatMap((band) => {
      if (band.first >= row) return [band];
      const left = band.end > row ? [{ first: row, end: band.end, tensor: rowsOf(band, row, band.end) }] : [];
      band.tensor.dispose();
      return left;
    });
  }
}

function rowsOf({ first, end, tensor }: Band, from: number, to: number): tf.Tensor4D {
  if (from === first && to === end) return tensor.clone();
  return tf.slice(tensor, [0, from - first, 0, 0], [-1, to - from, -1, -1]);
}

/** How much a position of one band takes while it is worked on, in floats. */
export interface BandWork {
  readonly floatsPerPosition: number;
  /** Rows of neighbours above and below. Default: 0. */
  readonly halo?: number;
}

/**
 * One run in bands: how high a band is, what happens between two, and all activations that are held, so that they are
 * freed wherever the run ends.
 */
export class RowTiling {
  private readonly held: RowBands[] = [];

  /**
   * @param budgetBytes for the tensors of one band in work; one row is computed whatever it takes
   * @param betweenBands called after each band; what it throws ends the run
   * @throws OptionError unless the budget is above 0
   */
  constructor(
    private readonly budgetBytes: number,
    private readonly betweenBands: () => void = () => {},
  ) {
    if (!(budgetBytes > 0))
      throw new OptionError(`tileBudgetBytes: expected a number of bytes above 0, got ${budgetBytes}`);
  }

  /** An activation of this run. @param whole its rows, if they are there already */
  bands(whole?: tf.Tensor4D): RowBands {
    const bands = new RowBands();
    if (whole) bands.push(whole);
    this.held.push(bands);
    return bands;
  }

  /** Calls `work` with the rows of `x` from top to bottom, as many at a time as fit the budget. */
  async eachBand(
    x: RowBands,
    { floatsPerPosition, halo = 0 }: BandWork,
    work: (rows: RowRange) => void,
  ): Promise<void> {
    const [n, height, width] = x.shape;
    const rowBytes = n * width * floatsPerPosition * Float32Array.BYTES_PER_ELEMENT;
    const fitting = Math.floor(this.budgetBytes / rowBytes);
    const rows = fitting >= height ? height : Math.max(1, fitting - 2 * halo);
    for (let first = 0; first < height; first += rows) {
      const end = Math.min(height, first + rows);
      work({ first, end, above: first === 0, below: end === height });
      await nextTask();
      this.betweenBands();
    }
  }

  dispose(): void {
    for (const bands of this.held) bands.dispose();
  }
}

/** Lets timers and signals be served: TensorFlow computes on this thread. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
