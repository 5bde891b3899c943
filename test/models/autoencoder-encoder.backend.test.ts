import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { type AutoencoderOptions, openAutoencoder } from '../../converters/open-autoencoder.ts';
import { pickTensors, withWeights } from '../../src/checkpoint/archive.ts';
import type { TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { Weights } from '../../src/checkpoint/weights.ts';
import { CheckpointError, OptionError, ShapeError } from '../../src/errors.ts';
import { Conv2d, Downsample2d } from '../../src/layers/conv2d.ts';
import { GroupNorm } from '../../src/layers/group-norm.ts';
import { ResnetBlock, SpatialAttention } from '../../src/models/autoencoder-blocks.ts';
import type { AutoencoderKLCheckpoint } from '../../src/models/autoencoder-config.ts';
import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { autoencoderMemory } from '../../src/models/memory.ts';
import { relativeL2 } from '../support/compare.ts';
import { type Fixture, PARITY, readFixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { peakBufferBytes } from '../support/peak-buffers.ts';
import { bytesOf, randomArchive, randomTensor, replaceTensor } from '../support/random-weights.ts';

const PER_STAGE = 1e-5;
const PER_ENCODE = 1e-4;

const TINY = 'dit-tiny-diffusers';
const DEEP = 'vae-deep';

/** An autoencoder under parity/, closed after `use`. */
async function withStored<T>(
  path: string,
  use: (stored: AutoencoderKLCheckpoint) => Promise<T> | T,
  options: AutoencoderOptions = {},
): Promise<T> {
  const opened = await openAutoencoder({ ...options, vae: join(PARITY, path) });
  try {
    return await use(opened);
  } finally {
    await opened.archive.close();
  }
}

const loadWhole = (stored: AutoencoderKLCheckpoint) => AutoencoderKL.fromCheckpoint(stored, { encoder: true });

async function withWhole<T>(
  path: string,
  use: (vae: AutoencoderKL) => Promise<T> | T,
  options?: AutoencoderOptions,
): Promise<T> {
  const vae = await withStored(path, loadWhole, options);
  try {
    return await use(vae);
  } finally {
    vae.dispose();
  }
}

describe('AutoencoderKL encoder against diffusers, stage by stage', () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await readFixture('vae-tiny-encoder.safetensors');
  });

  /** Each layer by its name, on the reference's input of it. */
  async function compareStages(prefix: string): Promise<void> {
    await withStored(TINY, async ({ archive }) => {
      const weights = new Weights(archive);
      await weights.load('encoder');
      await weights.load('quant_conv');
      const reference = (name: string) => fixture.nhwc(prefix + name);
      const at = (path: string) => weights.scope(path === 'quant_conv' ? path : `encoder.${path}`);
      const conv = (path: string, inChannels: number, outChannels: number, kernelSize: 1 | 3 = 3) =>
        new Conv2d({ inChannels, outChannels, kernelSize }, at(path));
      const resnet = (path: string, inChannels: number, outChannels: number) =>
        new ResnetBlock({ inChannels, outChannels, numGroups: 8 }, at(path));
      const middle = [
        resnet('mid_block.resnets.0', 32, 32),
        new SpatialAttention({ channels: 32, numGroups: 8 }, at('mid_block.attentions.0')),
        resnet('mid_block.resnets.1', 32, 32),
      ];
      const last = [
        new GroupNorm({ channels: 32, numGroups: 8, silu: true }, at('conv_norm_out')),
        conv('conv_out', 32, 8),
      ];
      const stages = [
        ['image', 'convIn', [conv('conv_in', 3, 16)]],
        ['convIn', 'resnet0', [resnet('down_blocks.0.resnets.0', 16, 16)]],
        [
          'resnet0',
          'downsampled0',
          [new Downsample2d({ inChannels: 16, outChannels: 16 }, at('down_blocks.0.downsamplers.0.conv'))],
        ],
        ['downsampled0', 'downBlock1', [resnet('down_blocks.1.resnets.0', 16, 32)]],
        ['downBlock1', 'midBlock', middle],
        ['midBlock', 'convOut', last],
        ['convOut', 'moments', [conv('quant_conv', 8, 8, 1)]],
      ] as const;
      for (const [input, output, layers] of stages) {
        let x = reference(input);
        for (const layer of layers) {
          layer.build();
          x = layer.call(x);
        }
        expect(await relativeL2(x, reference(output))).toBeLessThan(PER_STAGE);
      }
      weights.dispose();
    });
  }

  it('on a picture that is not square', () => compareStages(''));
  it('on a picture of odd height and width, which a downsampling leaves rounded down', () => compareStages('odd.'));
});

interface Sample {
  readonly fixture: string;
  readonly path: string;
  readonly scale: number;
  readonly options?: AutoencoderOptions;
}

const LDM_SIZES = { vaeNormGroups: 4, vaeScalingFactor: 0.13025 };
const WHOLE: readonly Sample[] = [
  { fixture: 'vae-tiny', path: TINY, scale: 2 },
  { fixture: DEEP, path: DEEP, scale: 4 },
  { fixture: DEEP, path: 'vae-deep-old-names', scale: 4 },
  { fixture: DEEP, path: 'vae-deep-ldm.ckpt', scale: 4, options: LDM_SIZES },
  { fixture: 'vae-levels', path: 'vae-levels', scale: 8 },
];

describe.each(WHOLE)('AutoencoderKL.encode against diffusers: $path', ({ fixture: name, path, scale, options }) => {
  it.each([
    ['a multiple of the scale', ''],
    ['any other size', 'odd.'],
  ])('%s', async (_, prefix) => {
    const fixture = await readFixture(`${name}-encoder.safetensors`);
    const reference = (key: string) => fixture.nhwc(prefix + key);
    await withWhole(
      path,
      async (vae) => {
        const image = reference('image');
        const { mean, logvar } = vae.moments(image);
        expect(mean.shape).toEqual([
          image.shape[0],
          ...image.shape.slice(1, 3).map((side) => Math.floor(side / scale)),
          vae.config.latentChannels,
        ]);
        expect(await relativeL2(mean, reference('mean'))).toBeLessThan(PER_ENCODE);
        expect(await relativeL2(logvar, reference('logvar'))).toBeLessThan(PER_ENCODE);
        const scaled = tf.mul(reference('mean'), vae.config.scalingFactor);
        expect(await relativeL2(vae.encode(image), scaled)).toBeLessThan(PER_ENCODE);
        expect(await relativeL2(vae.encode(image, reference('noise')), reference('sample'))).toBeLessThan(PER_ENCODE);
      },
      options,
    );
  });
});

describe('AutoencoderKL.moments', () => {
  it('keeps the log-variance from −30 to 20', async () => {
    await withStored(DEEP, async (stored) => {
      const bias = bytesOf(Float32Array.of(0, 0, 0, 0, 100, -100, 0, 0));
      const archive = replaceTensor(stored.archive, 'quant_conv.bias', { dtype: 'F32', read: async () => bias });
      const vae = await loadWhole({ ...stored, archive });
      const { logvar } = vae.moments(randomTensor([1, 8, 8, 3], 1));
      const [high, low] = tf.split(tf.slice(logvar, [0, 0, 0, 0], [-1, -1, -1, 2]), 2, 3) as [tf.Tensor, tf.Tensor];
      expect(new Set(await high.data())).toEqual(new Set([20]));
      expect(new Set(await low.data())).toEqual(new Set([-30]));
      vae.dispose();
    });
  });
});

describe('AutoencoderKL, with its encoder', () => {
  it('decodes as it does without', async () => {
    const latents = randomTensor<tf.Tensor4D>([1, 3, 2, 4], 1);
    const alone = await withStored(DEEP, (stored) => AutoencoderKL.fromCheckpoint(stored));
    const expected = await alone.decode(latents).data();
    alone.dispose();
    await withWhole(DEEP, async (vae) => expect(await vae.decode(latents).data()).toEqual(expected));
  });

  it('encodes, and frees everything', async () => {
    await expectNoLeak(() =>
      withWhole(DEEP, (vae) => {
        const image = randomTensor<tf.Tensor4D>([2, 12, 8, 3], 1);
        const noise = randomTensor<tf.Tensor4D>([2, 3, 2, 4], 2);
        const before = tf.memory().numTensors;
        const moments = vae.moments(image);
        expect(tf.memory().numTensors).toBe(before + 2);
        const latents = [
          vae.latents(moments),
          vae.latents(moments, noise),
          vae.encode(image),
          vae.encode(image, noise),
        ];
        expect(tf.memory().numTensors).toBe(before + 6);
        tf.dispose([image, noise, moments.mean, moments.logvar, ...latents]);
        vae.dispose();
      }),
    );
  });

  it('frees everything when it is disposed before the first forward', async () => {
    await expectNoLeak(() => withWhole(DEEP, () => undefined));
  });

  it('refuses pictures and noise of other shapes, and leaks nothing', async () => {
    await withWhole(DEEP, async (vae) => {
      type Shape4 = [number, number, number, number];
      const refusal = (image: Shape4, noise: Shape4 | undefined, text: RegExp) => {
        const [first, second] = [tf.ones<tf.Rank.R4>(image), noise && tf.ones<tf.Rank.R4>(noise)];
        return expectCleanFailure(() => vae.encode(first, second), ShapeError, text).finally(() => {
          tf.dispose([first, ...(second ? [second] : [])]);
        });
      };
      await refusal([1, 8, 8, 4], undefined, /AutoencoderKL image: expected \[any, any, any, 3\], got \[1, 8, 8, 4\]/);
      await refusal([1, 8, 3, 3], undefined, /expected at least 4×4 pixels, got 3×8/);
      await refusal([1, 8, 8, 3], [1, 2, 2, 3], /AutoencoderKL noise: expected \[1, 2, 2, 4\], got \[1, 2, 2, 3\]/);
    });
  });
});

describe('AutoencoderKL, without its encoder', () => {
  it('reads none of its tensors, and says how to get it', async () => {
    await withStored(DEEP, async (stored) => {
      const isEncoder = /^(encoder|quant_conv)\./;
      const unreadable = [...stored.archive.tensors.values()].map((tensor) => ({
        ...tensor,
        read: isEncoder.test(tensor.name) ? () => Promise.reject(new Error('was read')) : () => tensor.read(),
      }));
      const archive = { ...stored.archive, tensors: new Map(unreadable.map((tensor) => [tensor.name, tensor])) };
      const vae = await AutoencoderKL.fromCheckpoint({ ...stored, archive });
      const image = tf.ones([1, 8, 8, 3]) as tf.Tensor4D;
      await expectCleanFailure(() => vae.encode(image), OptionError, /without its encoder.*load it with encoder: true/);
      tf.dispose(image);
      vae.dispose();
    });
  });

  const without = (archive: TensorArchive, names: RegExp) => pickTensors(archive, (name) => !names.test(name));

  it('is all that a checkpoint may have; asked for the encoder, it says what to give', async () => {
    await withStored(DEEP, async (stored) => {
      const archive = without(stored.archive, /^(encoder|quant_conv)\./);
      const message = /vae-deep.*no encoder, so it cannot encode pictures; give --vae with a whole autoencoder/;
      await expectCleanFailure(() => loadWhole({ ...stored, archive }), CheckpointError, message);
    });
  });

  it('lists what an encoder lacks, such as the quant_conv that some configurations leave out', async () => {
    await withStored(DEEP, async (stored) => {
      const archive = without(stored.archive, /^quant_conv\./);
      const message = /2 missing: quant_conv\.kernel, quant_conv\.bias/;
      await expectCleanFailure(() => loadWhole({ ...stored, archive }), CheckpointError, message);
    });
  });

  it('lists what an encoder has too much, such as attention in its levels', async () => {
    await withStored(DEEP, async (stored) => {
      const name = 'encoder.down_blocks.0.attentions.0.to_q.bias';
      const extra = { name, dtype: 'F32' as const, shape: [1], read: async () => bytesOf(Float32Array.of(0)) };
      const archive = { ...stored.archive, tensors: new Map([...stored.archive.tensors, [name, extra]]) };
      await expectCleanFailure(
        () => loadWhole({ ...stored, archive }),
        CheckpointError,
        /1 unexpected: encoder\.down_blocks\.0\.attentions\.0\.to_q\.bias/,
      );
    });
  });
});

describe('autoencoderMemory', () => {
  const config = {
    blockOutChannels: [48, 16, 32],
    layersPerBlock: 1,
    latentChannels: 4,
    outChannels: 3,
    normNumGroups: 8,
    scalingFactor: 1,
  };

  it.each([
    ['a level of the encoder is largest', 32, 32],
    ['the scores of the attention are largest', 192, 160],
  ])('is what encoding and decoding one picture hold, where %s', async (_, height, width) => {
    const archive = randomArchive(AutoencoderKL.parameterShapes(config, { encoder: true }));
    const vae = await withWeights(archive, (weights) => AutoencoderKL.fromWeights(config, weights, { encoder: true }));
    const image = randomTensor<tf.Tensor4D>([1, height, width, 3], 1);
    const measured = await peakBufferBytes(() => {
      const latents = vae.encode(image);
      vae.decode(latents).dispose();
      latents.dispose();
    });
    const { weights, activations } = autoencoderMemory(config, height, width);
    expect(activations).toBeGreaterThan(0.95 * measured);
    expect(activations).toBeLessThan(1.2 * measured);
    const count = [...archive.tensors.values()].reduce((sum, { shape }) => sum + tf.util.sizeFromShape([...shape]), 0);
    expect(weights).toBe(4 * count);
    vae.dispose();
    image.dispose();
  });
});
