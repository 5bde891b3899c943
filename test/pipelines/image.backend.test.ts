import * as tf from '@tensorflow/tfjs-core';
import { fromPixels, toPixels } from '../../src/pipelines/image.ts';
import { expectNoLeak } from '../support/memory.ts';

/** A picture of one row whose grey values are `levels` of 255. */
const greys = (levels: readonly number[]): tf.Tensor3D =>
  tf.tensor3d(
    levels.flatMap((level) => Array(3).fill((2 * level) / 255 - 1)),
    [1, levels.length, 3],
  );

async function red(levels: readonly number[], numerics: 'original' | 'diffusers'): Promise<number[]> {
  const { data } = await toPixels(greys(levels), numerics);
  return levels.map((_, pixel) => data[4 * pixel]!);
}

describe('toPixels', () => {
  it('maps −1…1 to 0…255 and clamps beyond', async () => {
    const image = tf.tensor3d([-1, 0, 1, -3, 3, -0.5], [1, 2, 3]);
    const { width, height, data } = await toPixels(image, 'original');
    expect([width, height]).toEqual([2, 1]);
    expect(Array.from(data)).toEqual([0, 128, 255, 255, 0, 255, 64, 255]);
    expect(image.isDisposed).toBe(false);
  });

  it('rounds to the nearest', async () => {
    for (const numerics of ['original', 'diffusers'] as const) {
      expect(await red([0.4, 0.6, 100.4, 100.6, 254.4, 254.6], numerics)).toEqual([0, 1, 100, 101, 254, 255]);
    }
  });

  // these levels come out as k + ½ exactly in float32
  it('breaks ties as each implementation does: up, or to the even number', async () => {
    expect(await red([64.5, 65.5, 102.5, 103.5], 'original')).toEqual([65, 66, 103, 104]);
    expect(await red([64.5, 65.5, 102.5, 103.5], 'diffusers')).toEqual([64, 66, 102, 104]);
  });

  it('leaks nothing', async () => {
    await expectNoLeak(async () => {
      const image = greys([1, 2, 3]);
      await toPixels(image, 'diffusers');
      image.dispose();
    });
  });
});

describe('fromPixels', () => {
  const picture = { width: 2, height: 1, data: Uint8ClampedArray.from([0, 127, 255, 0, 128, 1, 254, 77]) };

  it('maps 0…255 to −1…1 in float32, channels last, and leaves alpha out', async () => {
    const image = fromPixels(picture);
    expect(image.shape).toEqual([1, 1, 2, 3]);
    const expected = [0, 127, 255, 128, 1, 254].map((level) => Math.fround(2 * Math.fround(level / 255) - 1));
    expect(Array.from(await image.data())).toEqual(expected);
    image.dispose();
  });

  it('is undone by toPixels', async () => {
    const { data } = await toPixels(tf.squeeze(fromPixels(picture), [0]), 'diffusers');
    expect(Array.from(data)).toEqual([0, 127, 255, 255, 128, 1, 254, 255]);
  });
});
