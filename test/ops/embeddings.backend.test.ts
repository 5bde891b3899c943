import * as tf from '@tensorflow/tfjs-core';
import { positionTable, timestepFrequencies } from '../../src/ops/embeddings.ts';
import { relativeL2 } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await readFixture('dit-tiny.safetensors');
});

describe('timestepFrequencies', () => {
  it.each([
    ['original', 0],
    ['diffusers', 1],
  ] as const)("gives %s's with shift %d", async (numerics, shift) => {
    const got = timestepFrequencies(fixture.numbers('input.timesteps'), 256, shift);
    // exp may differ in its last bit, which t = 999 multiplies; float64 steps, or any other rounding, give 5e-6 and more
    expect(await relativeL2(got, fixture.tensor(`${numerics}.frequencies`))).toBeLessThan(4e-6);
  });

  it('takes fractional timesteps; cosines come first', async () => {
    const [cosine, , sine] = await timestepFrequencies([0.5], 4, 0).data();
    expect(cosine).toBeCloseTo(Math.cos(0.5), 6);
    expect(sine).toBeCloseTo(Math.sin(0.5), 6);
  });
});

describe('timestepFrequencies of sizes and ratios', () => {
  it('are those of the nearest float32', async () => {
    const ratio = 832 / 1216;
    const got = timestepFrequencies([ratio, 1024], 256, 0);
    expect(await relativeL2(got, timestepFrequencies([Math.fround(ratio), 1024], 256, 0))).toBe(0);
  });
});

describe('positionTable', () => {
  it("equals the original's", async () => {
    expect(await relativeL2(positionTable(48, 4, 4), fixture.tensor('positionTable'))).toBeLessThan(1e-7);
  });

  it('encodes the column in the first half of the channels, the row in the second', async () => {
    const [height, width, quarter] = [2, 3, 2];
    const table = positionTable(4 * quarter, height, width);
    expect(table.shape).toEqual([1, height * width, 4 * quarter]);
    const [tokens] = await table.array();
    const axis = (u: number) => [Math.sin(u), Math.sin(u / 100), Math.cos(u), Math.cos(u / 100)]; // ω = 1, 10000^(−1/2)
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const want = tf.tensor1d([...axis(column), ...axis(row)]);
        expect(await relativeL2(tf.tensor1d(tokens![row * width + column]!), want)).toBeLessThan(1e-6);
      }
    }
  });

  it.each([
    ['tiny', 1],
    ['ms', 2],
  ] as const)(
    'stretches either axis to what the model was made for: %s, squeezed by %d',
    async (name, interpolation) => {
      const pixart = await readFixture(`../pixart/${name}.safetensors`);
      const got = positionTable(24, 3, 5, { base: 4, interpolation });
      expect(await relativeL2(got, pixart.tensor('positions'))).toBeLessThan(1e-6);
    },
  );

  it('has whole positions on its own size, whatever the axis', async () => {
    const got = positionTable(24, 4, 4, { base: 4, interpolation: 1 });
    expect(await relativeL2(got, positionTable(24, 4, 4))).toBe(0);
  });
});
