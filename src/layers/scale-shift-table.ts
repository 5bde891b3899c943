import * as tf from '@tensorflow/tfjs-core';
import { serialization } from '@tensorflow/tfjs-core';
import type { WeightScope } from '../checkpoint/weights.ts';
import { ParameterLayer } from './parameter-layer.ts';
import { single } from './tensors.ts';

export interface ScaleShiftTableConfig {
  /** Vectors of modulation: 6 in a block, 2 in the final layer. */
  readonly rows: number;
  readonly hiddenSize: number;
}

/** What a block of adaLN-single has of its own: a table that is added to the modulation shared by all (PixArt-α, §2.3). */
export class ScaleShiftTable extends ParameterLayer {
  static readonly className = 'ScaleShiftTable';

  constructor(
    private readonly sizes: ScaleShiftTableConfig,
    stored?: WeightScope,
  ) {
    super({ ...sizes }, { scale_shift_table: [sizes.rows, sizes.hiddenSize] }, stored);
  }

  /** [rows,D], borrowed. */
  get table(): tf.Tensor2D {
    return this.parameter('scale_shift_table');
  }

  /** @param inputs shared modulation [N,rows,D], or [N,1,D] for every row @returns [N,rows,D] */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor3D {
    return tf.add(single<tf.Tensor3D>(inputs), this.table);
  }

  override computeOutputShape(inputShape: (number | null)[]): (number | null)[] {
    return [inputShape[0] ?? null, this.sizes.rows, this.sizes.hiddenSize];
  }
}
serialization.registerClass(ScaleShiftTable);
