import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { openDiT } from '../../converters/open-dit.ts';
import { Weights } from '../../src/checkpoint/weights.ts';
import { CheckpointError, ShapeError } from '../../src/errors.ts';
import { Conv2d } from '../../src/layers/conv2d.ts';
import { ResnetBlock, SpatialAttention } from '../../src/models/autoencoder-blocks.ts';
import type { AutoencoderKLCheckpoint } from '../../src/models/autoencoder-config.ts';
import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { relativeL2 } from '../support/compare.ts';
import { PARITY, readFixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { withTinyCheckpoint } from '../support/tiny-dit.ts';

const PER_STAGE = 1e-5;
const PER_DECODE = 1e-4;

const loadVae = (vae: AutoencoderKLCheckpoint) => AutoencoderKL.fromCheckpoint(vae);

/** The autoencoder of one of the folders under parity/, closed after `use`. */
async function withVae<T>(folder: string, use: (vae: AutoencoderKLCheckpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openDiT(join(PARITY, 'dit-tiny-diffusers'), { vae: join(PARITY, folder) });
  try {
    return await use(checkpoint.vae);
  } finally {
    await checkpoint.close();
  }
}

describe('AutoencoderKL decoder against diffusers, stage by stage', () => {
  it('post_quant_conv, the middle block, and each level of the tiny one', async () => {
    const reference = await readFixture('vae-tiny.safetensors');
    await withTinyCheckpoint(async ({ vae }) => {
      const weights = new Weights(vae.archive);
      await weights.load('post_quant_conv');
      await weights.load('decoder');
      const conv = (path: string, inChannels: number, outChannels: number, kernelSize: 1 | 3) =>
        new Conv2d({ inChannels, outChannels, kernelSize }, weights.scope(path));
      const resnet = (path: string, inChannels: number, outChannels: number) =>
        new ResnetBlock({ inChannels, outChannels, numGroups: 8 }, weights.scope(`decoder.${path}`));
      const run = <T extends Conv2d | ResnetBlock | SpatialAttention>(layer: T, x: tf.Tensor4D): tf.Tensor4D => {
        layer.build();
        return layer.call(x);
      };

      const postQuant = run(conv('post_quant_conv', 4, 4, 1), reference.nhwc('input.latents'));
      expect(await relativeL2(postQuant, reference.nhwc('postQuantConv'))).toBeLessThan(PER_STAGE);
      const convIn = run(conv('decoder.conv_in', 4, 32, 3), reference.nhwc('postQuantConv'));
      expect(await relativeL2(convIn, reference.nhwc('convIn'))).toBeLessThan(PER_STAGE);

      const first = run(resnet('mid_block.resnets.0', 32, 32), reference.nhwc('convIn'));
      const attention = new SpatialAttention(
        { channels: 32, numGroups: 8 },
        weights.scope('decoder.mid_block.attentions.0'),
      );
      const attended = run(attention, first);
      expect(await relativeL2(attended, reference.nhwc('midAttention'))).toBeLessThan(PER_STAGE);
      const middle = run(resnet('mid_block.resnets.1', 32, 32), reference.nhwc('midAttention'));
      expect(await relativeL2(middle, reference.nhwc('midBlock'))).toBeLessThan(PER_STAGE);

      const inner = run(resnet('up_blocks.0.resnets.1', 32, 32), run(resnet('up_blocks.0.resnets.0', 32, 32), middle));
      const larger = tf.image.resizeNearestNeighbor(inner, [12, 10]);
      const level0 = run(conv('decoder.up_blocks.0.upsamplers.0.conv', 32, 32, 3), larger);
      expect(await relativeL2(level0, reference.nhwc('upBlock0'))).toBeLessThan(PER_STAGE);
      const narrower = run(resnet('up_blocks.1.resnets.0', 32, 16), reference.nhwc('upBlock0'));
      const level1 = run(resnet('up_blocks.1.resnets.1', 16, 16), narrower);
      expect(await relativeL2(level1, reference.nhwc('upBlock1'))).toBeLessThan(PER_STAGE);
    });
  });

  it.each([
    ['vae-tiny', 'dit-tiny-diffusers', 2],
    ['vae-deep', 'vae-deep', 4],
    ['vae-deep', 'vae-deep-old-names', 4],
  ])('whole: %s from %s', async (fixture, folder, scale) => {
    const reference = await readFixture(`${fixture}.safetensors`);
    await withVae(folder, async (stored) => {
      const vae = await loadVae(stored);
      expect(vae.scale).toBe(scale);
      // decode takes the model's latents, which the fixture's are the autoencoder's of
      const latents = tf.mul(reference.nhwc('input.latents'), vae.config.scalingFactor) as tf.Tensor4D;
      expect(await relativeL2(vae.decode(latents), reference.nhwc('output'))).toBeLessThan(PER_DECODE);
      vae.dispose();
    });
  });

  it('reads the scaling factor of each config', async () => {
    await withVae('vae-deep', async ({ config }) => expect(config.scalingFactor).toBe(0.13025));
    await withVae('dit-tiny-diffusers', async ({ config }) => expect(config.scalingFactor).toBe(0.18215));
  });
});

describe('AutoencoderKL memory', () => {
  it('loads, decodes and frees everything', async () => {
    await expectNoLeak(() =>
      withVae('vae-deep', async (stored) => {
        const vae = await loadVae(stored);
        const latents = tf.ones([1, 3, 2, 4]) as tf.Tensor4D;
        const before = tf.memory().numTensors;
        const image = vae.decode(latents);
        expect(image.shape).toEqual([1, 12, 8, 3]);
        expect(tf.memory().numTensors).toBe(before + 1);
        tf.dispose([image, latents]);
        vae.dispose();
        vae.dispose();
      }),
    );
  });

  it('frees everything when it is disposed before the first decode', async () => {
    await expectNoLeak(() => withVae('vae-deep', async (stored) => (await loadVae(stored)).dispose()));
  });

  it('refuses latents of another channel count, and a checkpoint of another width, and leaks nothing', async () => {
    await withVae('vae-deep', async (stored) => {
      const vae = await loadVae(stored);
      const latents = tf.ones([1, 4, 2, 2]) as tf.Tensor4D;
      await expectCleanFailure(
        () => vae.decode(latents),
        ShapeError,
        /AutoencoderKL latents: expected \[any, any, any, 4\]/,
      );
      vae.dispose();
      const wider = { ...stored, config: { ...stored.config, blockOutChannels: [4, 8, 16] } };
      await expectCleanFailure(() => loadVae(wider), CheckpointError, /of the wrong shape: decoder\.conv_in\.kernel/);
    });
  });
});
