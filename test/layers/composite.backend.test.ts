import * as tf from '@tensorflow/tfjs-core';
import type { WeightScope } from '../../src/checkpoint/weights.ts';
import { CheckpointError } from '../../src/errors.ts';
import { Composite } from '../../src/layers/composite.ts';
import { Linear } from '../../src/layers/linear.ts';
import { Mlp } from '../../src/layers/mlp.ts';
import { ScaleShiftTable } from '../../src/layers/scale-shift-table.ts';
import { expectNoLeak } from '../support/memory.ts';
import { randomWeights } from '../support/random-weights.ts';

/** A layer in a layer in a layer. */
class Nested extends Composite {
  static readonly className = 'NestedForTest';
  readonly mlp: Mlp;
  readonly last: Linear;

  constructor(stored?: WeightScope) {
    super();
    this.mlp = this.child('mlp', new Mlp({ hiddenSize: 4, mlpRatio: 2 }, stored?.at('mlp')));
    this.last = this.child('last.0', new Linear({ inFeatures: 4, outFeatures: 3 }, stored?.at('last.0')));
  }
}

describe('Composite', () => {
  it('names the parameters of all sub-layers by their paths', () => {
    expect([...new Nested().parameterShapes()]).toEqual([
      ['mlp.fc1.kernel', [4, 8]],
      ['mlp.fc1.bias', [8]],
      ['mlp.fc2.kernel', [8, 4]],
      ['mlp.fc2.bias', [4]],
      ['last.0.kernel', [4, 3]],
      ['last.0.bias', [3]],
    ]);
  });

  it('builds, lists and frees what its sub-layers hold; again and again without harm', async () => {
    await expectNoLeak(async () => {
      const weights = await randomWeights(new Nested().parameterShapes());
      const held = tf.memory().numTensors;
      const nested = new Nested(weights.scope('layer'));
      nested.build();
      nested.build();
      expect(tf.memory().numTensors).toBe(held); // each tensor was handed over, none copied
      expect(nested.weights).toHaveLength(6);
      expect(nested.dispose()).toEqual({ refCountAfterDispose: 0, numDisposedVariables: 6 });
      expect(nested.dispose()).toEqual({ refCountAfterDispose: 0, numDisposedVariables: 0 });
      expect(nested.disposeWeights()).toBe(0);
    });
  });

  it('frees what is built when a later sub-layer cannot be', async () => {
    await expectNoLeak(async () => {
      const shapes = new Map([...new Nested().parameterShapes()].filter(([name]) => name !== 'last.0.bias'));
      const weights = await randomWeights(shapes);
      const nested = new Nested(weights.scope('layer'));
      expect(() => nested.build()).toThrow(CheckpointError);
      expect(nested.disposeWeights()).toBe(5);
      weights.dispose();
    });
  });
});

/** A layer with a parameter of its own beside its sub-layers. */
class WithOwn extends Composite {
  static readonly className = 'WithOwnForTest';

  constructor(stored?: WeightScope) {
    super();
    this.child('', new ScaleShiftTable({ rows: 2, hiddenSize: 4 }, stored));
    this.child('last', new Linear({ inFeatures: 4, outFeatures: 3 }, stored?.at('last')));
  }
}

it('parameters of its own stand beside the names of its sub-layers', async () => {
  await expectNoLeak(async () => {
    const shapes = new WithOwn().parameterShapes();
    expect([...shapes.keys()]).toEqual(['scale_shift_table', 'last.kernel', 'last.bias']);
    const layer = new WithOwn((await randomWeights(shapes)).scope('layer'));
    layer.build();
    expect(layer.disposeWeights()).toBe(3);
  });
});

describe('a leaf layer', () => {
  it('refuses a weight of another shape, by name', async () => {
    await expectNoLeak(async () => {
      const weights = await randomWeights(
        new Map([
          ['kernel', [3, 4]],
          ['bias', [4]],
        ]),
      );
      const layer = new Linear({ inFeatures: 4, outFeatures: 4 }, weights.scope('layer'));
      expect(() => layer.build()).toThrow('layer.kernel: expected [4, 4], got [3, 4]');
      layer.dispose();
      weights.dispose();
    });
  });
});
