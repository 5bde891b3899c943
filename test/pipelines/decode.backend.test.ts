import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../../src/checkpoint/archive.ts';
import { AbortError } from '../../src/errors.ts';
import type { AutoencoderKLConfig } from '../../src/models/autoencoder-config.ts';
import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { decodeEach } from '../../src/pipelines/decode.ts';
import { relativeL2 } from '../support/compare.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { randomArchive, randomTensor } from '../support/random-weights.ts';

const CONFIG: AutoencoderKLConfig = {
  blockOutChannels: [4, 8],
  layersPerBlock: 1,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 2,
  scalingFactor: 1,
};

async function randomVae(): Promise<AutoencoderKL> {
  const archive = randomArchive(AutoencoderKL.parameterShapes(CONFIG));
  return withWeights(archive, (weights) => AutoencoderKL.fromWeights(CONFIG, weights));
}

describe('decodeEach', () => {
  let vae: AutoencoderKL;
  beforeAll(async () => {
    vae = await randomVae();
  });
  afterAll(() => vae.dispose());
  afterEach(() => jest.restoreAllMocks());

  it('decodes small pictures whole, one at a time', async () => {
    const [whole, tiled] = [jest.spyOn(vae, 'decode'), jest.spyOn(vae, 'decodeTiled')];
    await expectNoLeak(async () => {
      const { images } = await decodeEach(vae, randomTensor([2, 3, 4, 4], 1), undefined);
      expect(images.map(({ shape }) => shape)).toEqual([
        [6, 8, 3],
        [6, 8, 3],
      ]);
      tf.dispose([...images]);
    });
    expect([whole, tiled].map(({ mock }) => mock.calls.length)).toEqual([2, 0]);
  });

  it('decodes in bands what would take more than the budget, to the same picture, and stops between two', async () => {
    const budget = 1000;
    const z = randomTensor<tf.Tensor4D>([1, 3, 4, 4], 1);
    const expected = vae.decode(z);
    const whole = jest.spyOn(vae, 'decode');
    const { images } = await decodeEach(vae, z.clone(), undefined, budget);
    expect(whole).not.toHaveBeenCalled();
    expect(await relativeL2(tf.stack([...images]), expected)).toBeLessThan(1e-5);
    tf.dispose([expected, ...images]);

    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), 0);
    await expectCleanFailure(
      () => decodeEach(vae, z.clone(), stop.signal, budget),
      AbortError,
      /generation was stopped while decoding picture 1 of 1/,
    );
    clearTimeout(timer);
    z.dispose();
  });
});
