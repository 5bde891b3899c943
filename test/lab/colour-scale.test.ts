import { colourScale, type ScaleKind } from '../../src/lab/colour-scale.ts';
import { viridis } from '../../src/lab/viridis.ts';

const labels = (values: readonly (number | null)[], kind: ScaleKind) =>
  colourScale(values, kind).marks.map(({ label }) => label);

describe('colourScale', () => {
  it.each([
    [
      [0, 1],
      ['0', '0.2', '0.4', '0.6', '0.8', '1'],
    ],
    [
      [-1, 1],
      ['-1', '-0.5', '0', '0.5', '1'],
    ],
    [
      [0.93, 0.999],
      ['0.94', '0.96', '0.98'],
    ],
    [
      [0, 40],
      ['0', '10', '20', '30', '40'],
    ],
    [[1234, 1234], ['1234']],
    [[], []],
  ])('marks %j with round numbers', (values, want) => {
    expect(labels(values, 'linear')).toEqual(want);
  });

  it.each([
    [
      [0.02, 3],
      ['0.02', '0.05', '0.1', '0.2', '0.5', '1', '2'],
    ],
    [
      [1e-6, 1e6],
      ['0.000001', '0.0001', '0.01', '1', '100', '10000', '1000000'],
    ],
    [
      [2, 3],
      ['2', '2.2', '2.4', '2.6', '2.8', '3'],
    ], // not even a doubling: as linear
    [
      [0, 3],
      ['0', '1', '2', '3'],
    ], // 0 has no logarithm
    [[5, 5], ['5']],
  ])('marks %j on a logarithmic scale', (values, want) => {
    expect(labels(values, 'log')).toEqual(want);
  });

  it.each([
    [
      [0.7, 0.9995],
      ['0.9995', '0.999', '0.998', '0.995', '0.99', '0.98', '0.95', '0.9', '0.8'],
    ],
    [
      [-1, 0.9],
      ['0.9', '0.8', '0.5', '0', '-1'],
    ],
    [
      [0.5, 1],
      ['0.999999', '0.99999', '0.9999', '0.999', '0.99', '0.9'],
    ], // all that float32 tells from 1
    [
      [0.93, 0.95],
      ['0.93', '0.935', '0.94', '0.945', '0.95'],
    ],
  ])('marks %j by what is missing to 1', (values, want) => {
    expect(labels(values, 'near-one')).toEqual(want);
    const { colour } = colourScale(values, 'near-one');
    expect(values.map(colour)).toEqual([viridis(0), viridis(1)]);
  });

  it('leaves out what is undefined, and places marks where their colour is', () => {
    const scale = colourScale([null, 1, Number.NaN, 100], 'log');
    expect([scale.colour(1), scale.colour(10), scale.colour(100)]).toEqual([viridis(0), viridis(0.5), viridis(1)]);
    const ten = scale.marks.find(({ label }) => label === '10')!;
    expect(ten.part).toBeCloseTo(0.5, 12);
  });

  it('can take more values than a call takes arguments', () => {
    const many = Array.from({ length: 300_000 }, (_, i) => i);
    expect(colourScale(many, 'linear').colour(299_999)).toBe(viridis(1));
  });
});

describe('viridis', () => {
  it('runs from dark violet to yellow, in between its colours, clamped', () => {
    expect([0, 0.125, 0.5, 1, -1, 2].map(viridis)).toEqual([
      '#440154',
      '#472d7b',
      '#21908c',
      '#fde725',
      '#440154',
      '#fde725',
    ]);
    expect(viridis(0.0625)).toBe('#461768');
  });
});
