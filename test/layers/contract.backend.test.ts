import * as tf from '@tensorflow/tfjs-core';
import type { layers } from '@tensorflow/tfjs-layers';
import type { WeightDtype } from '../../src/checkpoint/hold.ts';
import type { WeightScope } from '../../src/checkpoint/weights.ts';
import { CheckpointError } from '../../src/errors.ts';
import { CrossAttention, SelfAttention } from '../../src/layers/attention.ts';
import { CaptionProjection } from '../../src/layers/caption-projection.ts';
import { Conv2d, Downsample2d } from '../../src/layers/conv2d.ts';
import { LabelEmbedder, PatchEmbed, TimestepEmbedder } from '../../src/layers/embedders.ts';
import { GroupNorm } from '../../src/layers/group-norm.ts';
import { Linear } from '../../src/layers/linear.ts';
import { Mlp } from '../../src/layers/mlp.ts';
import type { Parametrised } from '../../src/layers/parameter-layer.ts';
import { RmsNorm } from '../../src/layers/rms-norm.ts';
import { ScaleShiftTable } from '../../src/layers/scale-shift-table.ts';
import { T5Attention } from '../../src/layers/t5-attention.ts';
import { RelativeAttentionBias, TokenEmbedding } from '../../src/layers/t5-embeddings.ts';
import { T5FeedForward } from '../../src/layers/t5-feed-forward.ts';
import { UpsampleConv2d } from '../../src/layers/upsample-conv2d.ts';
import { ResnetBlock, SpatialAttention } from '../../src/models/autoencoder-blocks.ts';
import { Decoder } from '../../src/models/autoencoder-decoder.ts';
import { Encoder } from '../../src/models/autoencoder-encoder.ts';
import { DiTBlock, FinalLayer } from '../../src/models/dit.ts';
import type { DiTConfig } from '../../src/models/dit-config.ts';
import { ClassifierStage, ResidualBlock } from '../../src/models/image-classifier.ts';
import { PixArtBlock, T2IFinalLayer } from '../../src/models/pixart-block.ts';
import type { PixArtConfig } from '../../src/models/pixart-config.ts';
import type { T5EncoderConfig } from '../../src/models/t5-config.ts';
import { T5FeedForwardLayer, T5SelfAttentionLayer } from '../../src/models/t5-layers.ts';
import { elementCount, type Shape } from '../../src/shape.ts';
import { relativeL2 } from '../support/compare.ts';
import { HALVES, holdsHalves } from '../support/half-weights.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { randomTensor, randomWeights } from '../support/random-weights.ts';

type OurLayer = layers.Layer & Parametrised;

interface Sample {
  readonly make: (stored?: WeightScope) => OurLayer;
  /** Shapes of what it is applied to. */
  readonly inputs: readonly Shape[];
  /** Whether that are ids, 0 to 3. */
  readonly ids?: true;
}

const DIT: DiTConfig = {
  hiddenSize: 8,
  depth: 1,
  numHeads: 2,
  patchSize: 2,
  mlpRatio: 4,
  inChannels: 4,
  outChannels: 8,
  inputSize: 4,
  numClasses: 3,
  frequencyShift: 0,
  normEps: 1e-6,
};
const PIXART: PixArtConfig = {
  hiddenSize: 8,
  depth: 1,
  numHeads: 2,
  patchSize: 2,
  mlpRatio: 4,
  inChannels: 4,
  outChannels: 8,
  inputSize: 4,
  captionChannels: 5,
  interpolationScale: 1,
  microConditions: false,
  normEps: 1e-6,
};
const VAE = {
  blockOutChannels: [4, 8],
  layersPerBlock: 1,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 2,
  scalingFactor: 1,
};

const T5: T5EncoderConfig = {
  vocabSize: 5,
  hiddenSize: 8,
  depth: 1,
  numHeads: 2,
  headDim: 3,
  feedForwardSize: 12,
  numBuckets: 4,
  maxDistance: 6,
  normEps: 1e-6,
};
/** x, relative bias and mask. */
const T5_ATTENTION_INPUTS = [
  [2, 4, 8],
  [1, 2, 4, 4],
  [2, 1, 1, 4],
];

const SAMPLES: Record<string, Sample> = {
  Linear: { make: (stored) => new Linear({ inFeatures: 3, outFeatures: 5 }, stored), inputs: [[2, 4, 3]] },
  'Linear, even width': {
    make: (stored) => new Linear({ inFeatures: 3, outFeatures: 6 }, stored),
    inputs: [[2, 4, 3]],
  },
  'Linear without bias': {
    make: (stored) => new Linear({ inFeatures: 3, outFeatures: 5, useBias: false }, stored),
    inputs: [[2, 4, 3]],
  },
  'Conv2dSame 1×1': {
    make: (stored) => new Conv2d({ inChannels: 3, outChannels: 5, kernelSize: 1 }, stored),
    inputs: [[2, 4, 6, 3]],
  },
  'Conv2dSame 3×3': {
    make: (stored) => new Conv2d({ inChannels: 3, outChannels: 5, kernelSize: 3 }, stored),
    inputs: [[2, 4, 6, 3]],
  },
  'Conv2dSame 3×3, even width': {
    make: (stored) => new Conv2d({ inChannels: 3, outChannels: 6, kernelSize: 3 }, stored),
    inputs: [[2, 4, 6, 3]],
  },
  'Downsample2D, even width': {
    make: (stored) => new Downsample2d({ inChannels: 3, outChannels: 6 }, stored),
    inputs: [[2, 4, 6, 3]],
  },
  Downsample2D: {
    make: (stored) => new Downsample2d({ inChannels: 3, outChannels: 5 }, stored),
    inputs: [[2, 4, 6, 3]],
  },
  'Downsample2D, odd size': {
    make: (stored) => new Downsample2d({ inChannels: 3, outChannels: 5 }, stored),
    inputs: [[2, 5, 7, 3]],
  },
  Upsample2D: {
    make: (stored) => new UpsampleConv2d({ inChannels: 3, outChannels: 5 }, stored),
    inputs: [[2, 5, 7, 3]],
  },
  GroupNorm: { make: (stored) => new GroupNorm({ channels: 6, numGroups: 2 }, stored), inputs: [[2, 4, 6, 6]] },
  'GroupNorm and SiLU': {
    make: (stored) => new GroupNorm({ channels: 6, numGroups: 2, silu: true }, stored),
    inputs: [[2, 4, 6, 6]],
  },
  SelfAttention: { make: (stored) => new SelfAttention({ hiddenSize: 8, numHeads: 2 }, stored), inputs: [[2, 4, 8]] },
  CrossAttention: {
    make: (stored) => new CrossAttention({ hiddenSize: 8, numHeads: 2 }, stored),
    inputs: [
      [2, 4, 8],
      [2, 3, 8],
    ],
  },
  CaptionProjection: {
    make: (stored) => new CaptionProjection({ captionChannels: 5, hiddenSize: 8 }, stored),
    inputs: [[2, 3, 5]],
  },
  ScaleShiftTable: {
    make: (stored) => new ScaleShiftTable({ rows: 6, hiddenSize: 8 }, stored),
    inputs: [[2, 1, 8]],
  },
  Mlp: { make: (stored) => new Mlp({ hiddenSize: 8, mlpRatio: 4 }, stored), inputs: [[2, 4, 8]] },
  PatchEmbed: {
    make: (stored) => new PatchEmbed({ patchSize: 2, inChannels: 4, hiddenSize: 8 }, stored),
    inputs: [[2, 4, 6, 4]],
  },
  TimestepEmbedder: {
    make: (stored) => new TimestepEmbedder({ hiddenSize: 8, frequencyShift: 1 }, stored),
    inputs: [[2, 256]],
  },
  LabelEmbedder: {
    make: (stored) => new LabelEmbedder({ numClasses: 3, hiddenSize: 8 }, stored),
    inputs: [[2]],
    ids: true,
  },
  RmsNorm: { make: (stored) => new RmsNorm({ features: 8, eps: 1e-6 }, stored), inputs: [[2, 4, 8]] },
  TokenEmbedding: {
    make: (stored) => new TokenEmbedding({ vocabSize: 5, hiddenSize: 8 }, stored),
    inputs: [[2, 4]],
    ids: true,
  },
  RelativeAttentionBias: {
    make: (stored) => new RelativeAttentionBias({ numBuckets: 4, maxDistance: 6, numHeads: 2 }, stored),
    inputs: [[4, 4]],
    ids: true,
  },
  T5Attention: { make: (stored) => new T5Attention(T5, stored), inputs: T5_ATTENTION_INPUTS },
  T5FeedForward: { make: (stored) => new T5FeedForward(T5, stored), inputs: [[2, 4, 8]] },
  T5SelfAttentionLayer: { make: (stored) => new T5SelfAttentionLayer(T5, stored), inputs: T5_ATTENTION_INPUTS },
  T5FeedForwardLayer: { make: (stored) => new T5FeedForwardLayer(T5, stored), inputs: [[2, 4, 8]] },
  DiTBlock: {
    make: (stored) => new DiTBlock(DIT, stored),
    inputs: [
      [2, 4, 8],
      [2, 8],
    ],
  },
  FinalLayer: {
    make: (stored) => new FinalLayer(DIT, stored),
    inputs: [
      [2, 4, 8],
      [2, 8],
    ],
  },
  PixArtBlock: {
    make: (stored) => new PixArtBlock(PIXART, stored),
    inputs: [
      [2, 4, 8],
      [2, 48],
      [2, 3, 8],
      [2, 1, 1, 3],
    ],
  },
  T2IFinalLayer: {
    make: (stored) => new T2IFinalLayer(PIXART, stored),
    inputs: [
      [2, 4, 8],
      [2, 8],
    ],
  },
  'ResnetBlock2D, same width': {
    make: (stored) => new ResnetBlock({ inChannels: 4, outChannels: 4, numGroups: 2 }, stored),
    inputs: [[2, 4, 6, 4]],
  },
  'ResnetBlock2D, wider': {
    make: (stored) => new ResnetBlock({ inChannels: 4, outChannels: 8, numGroups: 2 }, stored),
    inputs: [[2, 4, 6, 4]],
  },
  SpatialAttention: {
    make: (stored) => new SpatialAttention({ channels: 4, numGroups: 2 }, stored),
    inputs: [[2, 4, 6, 4]],
  },
  AutoencoderKLEncoder: { make: (stored) => new Encoder(VAE, stored), inputs: [[2, 4, 6, 3]] },
  'AutoencoderKLEncoder, odd size': { make: (stored) => new Encoder(VAE, stored), inputs: [[2, 5, 7, 3]] },
  AutoencoderKLDecoder: { make: (stored) => new Decoder(VAE, stored), inputs: [[2, 4, 6, 4]] },
  ResidualBlock: { make: (stored) => new ResidualBlock({ channels: 4 }, stored), inputs: [[2, 4, 6, 4]] },
  ClassifierStage: {
    make: (stored) => new ClassifierStage({ inChannels: 3, outChannels: 5, blocks: 2 }, stored),
    inputs: [[2, 4, 6, 3]],
  },
};

function drawIds(shape: Shape): tf.Tensor {
  const values = Int32Array.from({ length: elementCount(shape) }, (_, i) => 3 - (i % 4));
  return tf.tensor(values, [...shape], 'int32');
}

describe.each(Object.entries(SAMPLES))('%s', (name, { make, inputs, ids }) => {
  async function built(dtype?: WeightDtype): Promise<OurLayer> {
    const weights = await randomWeights(make().parameterShapes(), 1, dtype, make().halvableParameters());
    const layer = make(weights.scope('layer'));
    layer.build(inputs.length === 1 ? [...inputs[0]!] : inputs.map((shape) => [...shape]));
    weights.dispose();
    return layer;
  }
  const drawInputs = () => inputs.map((shape, i) => (ids ? drawIds(shape) : randomTensor<tf.Tensor>(shape, i + 1)));
  const applied = (layer: OurLayer, xs: tf.Tensor[]) => layer.apply(xs.length === 1 ? xs[0]! : xs) as tf.Tensor;

  it('is registered under its class name', () => {
    const className = make().getClassName();
    expect(name.startsWith(className)).toBe(true);
    const [registered] = tf.serialization.SerializationMap.getMap().classNameMap[className] ?? [];
    expect(registered).toBe(make().constructor);
  });

  it('comes back from its configuration, which is plain JSON', () => {
    const layer = make();
    const config = layer.getConfig();
    const [Class] = tf.serialization.SerializationMap.getMap().classNameMap[layer.getClassName()]!;
    const again = new Class(JSON.parse(JSON.stringify(config))) as OurLayer;
    expect(again.parameterShapes()).toEqual(layer.parameterShapes());
    expect({ ...again.getConfig(), name: config.name }).toEqual(config);
  });

  it('applies eagerly, and gives the shape it foretells', async () => {
    const layer = await built();
    const out = applied(layer, drawInputs());
    const shapes = inputs.map((shape) => [...shape]);
    expect(layer.computeOutputShape(shapes.length === 1 ? shapes[0]! : shapes)).toEqual(out.shape);
    expect((await out.data()).every(Number.isFinite)).toBe(true);
    layer.dispose();
  });

  it('holds every parameter in `weights`, none of them trainable, and counts them', async () => {
    const layer = await built();
    const sizes = [...layer.parameterShapes().values()].map(elementCount);
    expect(layer.weights.map(({ shape }) => elementCount(shape as number[])).sort()).toEqual([...sizes].sort());
    expect(layer.trainableWeights).toEqual([]);
    expect(layer.countParams()).toBe(sizes.reduce((sum, size) => sum + size, 0));
    layer.dispose();
  });

  it.each(HALVES)(
    'gives nearly the same, with kernels and tables as %s, and counts as many parameters',
    async (dtype) => {
      if (!holdsHalves('layers with weights of 16 bits')) return;
      await expectNoLeak(async () => {
        const [exact, held] = [await built(), await built(dtype)];
        const halves = [...held.halvableParameters()].map((key) => elementCount(held.parameterShapes().get(key)!) / 2);
        const elements = (layer: OurLayer) =>
          layer.weights.reduce((sum, { shape }) => sum + elementCount(shape as number[]), 0);
        expect(elements(exact) - elements(held)).toBe(halves.reduce((sum, half) => sum + half, 0));
        expect(held.countParams()).toBe(exact.countParams());
        const xs = drawInputs();
        const [want, got] = [applied(exact, xs), applied(held, xs)];
        const error = await relativeL2(got, want);
        expect(error).toBeLessThan(1e-2);
        expect(error > 0).toBe(halves.length > 0);
        tf.dispose([xs, want, got]);
        for (const layer of [exact, held]) layer.dispose();
      });
    },
  );

  it('gives a fresh tensor, leaves its inputs, and frees its weights once, whatever the number of calls', async () => {
    await expectNoLeak(async () => {
      const layer = await built();
      const xs = drawInputs();
      for (let call = 0; call < 2; call++) {
        const before = tf.memory().numTensors;
        const out = applied(layer, xs);
        expect(tf.memory().numTensors).toBe(before + 1);
        out.dispose();
      }
      expect(xs.some((x) => x.isDisposed)).toBe(false);
      tf.dispose(xs);
      expect(layer.dispose().numDisposedVariables).toBe(layer.parameterShapes().size);
      expect(layer.dispose().numDisposedVariables).toBe(0);
    });
  });

  it('frees its weights before the first forward, and holds none before it is built', async () => {
    await expectNoLeak(async () => {
      expect(make().disposeWeights()).toBe(0);
      const layer = await built();
      layer.disposeWeights();
      layer.disposeWeights();
    });
  });

  it('says what is missing: without a checkpoint, and after dispose', async () => {
    await expectCleanFailure(
      () => make().build([]),
      CheckpointError,
      /no weights to build from; pass the checkpoint's WeightScope/,
    );
    await expectCleanFailure(
      async () => {
        const layer = await built();
        layer.dispose();
        tf.tidy(() => layer.call(inputs.length === 1 ? drawInputs()[0]! : drawInputs(), {}));
      },
      CheckpointError,
      /was used before build\(\) or after dispose\(\)/,
    );
  });
});
