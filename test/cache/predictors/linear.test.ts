import { parsePredictor, predictorOf } from '../../../src/cache/predictors/named.ts';
import { isLinear, type LinearPredictor } from '../../../src/cache/predictors/predictor.ts';
import { OptionError } from '../../../src/errors.ts';
import { Draws } from '../../support/draws.ts';
import { predictedValue } from '../../support/predictions.ts';

function linearOf(text: string): LinearPredictor {
  const predictor = predictorOf(parsePredictor(text));
  if (!isLinear(predictor)) throw new Error(`${text} is not linear`);
  return predictor;
}

const UNEVEN = [11, 9, 8, 4, 1, 0];
const EVEN = [15, 12, 9, 6, 3, 0];
/** Those whose weights sum to 1: every polynomial method; Spectrum's ridge and nothing else departs. */
const UNIT = [
  'hold',
  'linear',
  ...[0, 1, 2, 3, 4, 5].flatMap((order) => [`taylor:${order}`, `newton:${order}`, `hermite:${order}`]),
  ...[1, 2, 3, 4, 5].map((order) => `adams-bashforth:${order}`),
  'hermite:3:0.9',
  'foca',
];
const ALL = [...UNIT, 'chebyshev:0', 'chebyshev:4', 'chebyshev:8:20'];

/** A polynomial of the degree with coefficients that no method favours. */
const polynomial = (degree: number) => (x: number) =>
  Array.from({ length: degree + 1 }, (_, j) => (x / 7) ** j * (j + 1)).reduce((a, b) => a + b);

describe('every linear predictor', () => {
  it.each(ALL)('%s: one finite weight for each snapshot, however few', (text) => {
    const predictor = linearOf(text);
    for (let count = 1; count <= Math.min(predictor.history, UNEVEN.length); count++) {
      const weights = predictor.weights(UNEVEN.slice(0, count), 13);
      expect(weights).toHaveLength(count);
      expect(weights.every(Number.isFinite)).toBe(true);
    }
  });

  it.each(UNIT)('%s: constants are exact at even and uneven gaps, with any number of snapshots', (text) => {
    const { history, ...predictor } = linearOf(text);
    for (const past of [EVEN, UNEVEN]) {
      for (let count = 1; count <= Math.min(history, past.length); count++) {
        const sum = predictor.weights(past.slice(0, count), past[0]! + 2).reduce((a, b) => a + b);
        expect(sum).toBeCloseTo(1, 10);
      }
    }
  });

  it.each(UNIT)('%s: one snapshot is held', (text) => {
    expect(linearOf(text).weights([4], 7)).toEqual([1]);
  });

  it.each(ALL)('%s: gives its name back as text', (text) => {
    const predictor = linearOf(text);
    expect(linearOf(predictor.name).weights([4], 7)).toEqual(predictor.weights([4], 7));
  });

  it.each(ALL)('%s: refuses steps that are no past', (text) => {
    const predictor = linearOf(text);
    const refused = [[], [8], [7], [2, 3], [3, 3], Array.from({ length: predictor.history + 1 }, (_, i) => 5 - i)];
    for (const past of refused) expect(() => predictor.weights(past, 7)).toThrow(OptionError);
    expect(() => predictor.weights([8], 7)).toThrow(/newest first, all before step 7; got \[8\]; mend the caller/);
  });
});

describe('what each is exact on', () => {
  it.each([0, 1, 2, 3, 4, 5])('newton:%i: polynomials of its degree at any spacing', (order) => {
    const draws = new Draws(order);
    const newton = linearOf(`newton:${order}`);
    for (let trial = 0; trial < 20; trial++) {
      let step = 30;
      const past = Array.from({ length: order + 1 }, () => (step -= draws.whole(1, 5)));
      const at = 30 + draws.whole(0, 3);
      const f = polynomial(order);
      expect(Math.abs(predictedValue(newton, f, past, at) / f(at) - 1)).toBeLessThan(1e-9);
    }
    const next = polynomial(order + 1);
    expect(Math.abs(predictedValue(newton, next, EVEN.slice(0, order + 1), 17) - next(17))).toBeGreaterThan(1e-2);
  });

  it.each([1, 2, 3, 4, 5])('taylor:%i: straight lines, and not parabolas', (order) => {
    const taylor = linearOf(`taylor:${order}`);
    for (const past of [EVEN, UNEVEN]) {
      expect(predictedValue(taylor, (x) => 2 - 3 * x, past.slice(0, order + 1), 17)).toBeCloseTo(2 - 3 * 17, 9);
      expect(Math.abs(predictedValue(taylor, (x) => x * x, past.slice(0, order + 1), 17) - 17 * 17)).toBeGreaterThan(1);
    }
  });

  it('taylor:1 and newton:1 are the same line', () => {
    for (const past of [EVEN, UNEVEN]) {
      const near = past.slice(0, 2);
      for (const [i, weight] of linearOf('newton:1').weights(near, 17).entries()) {
        expect(linearOf('linear').weights(near, 17)[i]).toBeCloseTo(weight, 12);
      }
    }
  });

  it.each([1, 2, 3, 4, 5])('adams-bashforth:%i: degree k − 1, one even gap ahead', (order) => {
    const f = polynomial(order - 1);
    expect(predictedValue(linearOf(`adams-bashforth:${order}`), f, EVEN.slice(0, order), 18)).toBeCloseTo(f(18), 8);
  });

  it('hermite at σ = √½ and order 1: straight lines; at ½ half the slope', () => {
    const line = (x: number) => 5 + 2 * x;
    expect(predictedValue(linearOf(`hermite:1:${Math.SQRT1_2}`), line, [9, 4], 12)).toBeCloseTo(line(12), 12);
    expect(predictedValue(linearOf('hermite:1'), line, [9, 4], 12)).toBeCloseTo(line(9) + (3 * 2) / 2, 12);
  });

  it('chebyshev: a ridge fit, so constants are drawn to zero, with one snapshot by much', () => {
    const past = Array.from({ length: 20 }, (_, i) => 39 - 2 * i);
    expect(predictedValue(linearOf('chebyshev:0'), () => 1, past, 41)).toBeCloseTo(20 / 20.1, 12);
    expect(predictedValue(linearOf('chebyshev:4'), () => 1, [0], 20)).toBeLessThan(0.5);
  });
});

describe('weights by hand', () => {
  it.each<[string, number[], number, number[]]>([
    ['hold', [5], 9, [1]],
    ['linear', [5, 3], 6, [1.5, -0.5]],
    ['taylor:2', [4, 2, 0], 5, [1 + 1 / 2 + 1 / 8, -1 / 2 - 2 / 8, 1 / 8]],
    // D₂ = (D₁ − D₁′)/gap with D₁′ over its own gap of 3: shares 1, −4/3, 1/3
    ['taylor:2', [4, 3, 0], 5, [1 + 1 + 1 / 2, -1 - 4 / 6, 1 / 6]],
    ['newton:2', [4, 2, 0], 5, [15 / 8, -5 / 4, 3 / 8]],
    ['adams-bashforth:1', [4], 9, [1]],
    ['adams-bashforth:2', [4, 2], 9, [2, -1]],
    ['adams-bashforth:5', [4, 3, 2, 1, 0], 9, [5, -10, 10, -5, 1]],
    ['adams-bashforth:5', [4, 3, 2], 9, [3, -3, 1]],
    ['foca', [4, 2], 9, [7 / 6, -1 / 6]],
    ['chebyshev:0', [4, 2], 9, [1 / 2.1, 1 / 2.1]],
  ])('%s from %j at %i', (text, past, at, expected) => {
    const weights = linearOf(text).weights(past, at);
    for (const [i, weight] of expected.entries()) expect(weights[i]).toBeCloseTo(weight, 12);
    expect(weights).toHaveLength(expected.length);
  });
});

describe('history', () => {
  it.each([
    ['hold', 1],
    ['linear', 2],
    ['taylor:4', 5],
    ['newton:2', 3],
    ['adams-bashforth:3', 3],
    ['hermite:2', 3],
    ['chebyshev:4', 100],
    ['foca', 2],
  ] as const)('%s looks at %i', (text, history) => {
    expect(linearOf(text).history).toBe(history);
  });
});
