import { PREDICTOR_FORMS, parsePredictor, predictorOf } from '../../../src/cache/predictors/named.ts';
import type { PredictorSpec } from '../../../src/cache/predictors/predictor.ts';
import { OptionError } from '../../../src/errors.ts';

describe('parsePredictor', () => {
  it.each<[string, PredictorSpec]>([
    ['hold', { name: 'hold' }],
    ['linear', { name: 'taylor', order: 1 }],
    ['taylor:2', { name: 'taylor', order: 2 }],
    [' newton:3 ', { name: 'newton', order: 3 }],
    ['adams-bashforth:2', { name: 'adams-bashforth', order: 2 }],
    ['hermite:2', { name: 'hermite', order: 2 }],
    ['hermite:2:0.7', { name: 'hermite', order: 2, scale: 0.7 }],
    ['chebyshev:4', { name: 'chebyshev', degree: 4 }],
    ['chebyshev:4:20', { name: 'chebyshev', degree: 4, steps: 20 }],
    ['foca', { name: 'foca' }],
    ['dmd', { name: 'dmd' }],
  ])('%s', (text, spec) => {
    expect(parsePredictor(text)).toEqual(spec);
    expect(predictorOf(JSON.parse(JSON.stringify(spec))).name).toBe(predictorOf(spec).name);
  });

  it('reads every form it shows', () => {
    for (const form of PREDICTOR_FORMS) {
      const text = form.replace(/\[.*\]/, '').replace(/:(order|degree)/, ':2');
      expect(parsePredictor(text)).toBeDefined();
    }
  });

  it.each([
    [
      '',
      'predictor: expected hold, linear, taylor:order, newton:order, adams-bashforth:order, hermite:order[:scale], chebyshev:degree[:steps], foca, dmd; got ""',
    ],
    ['tailor:2', /expected hold, linear, .*; got "tailor:2"$/],
    ['affine', /expected hold, linear, .*; got "affine"$/],
    ['Taylor:2', /got "Taylor:2"/],
    ['constructor', /got "constructor"/],
    ['taylor', 'predictor: expected taylor:order, got "taylor"'],
    ['taylor:', 'predictor: expected taylor:order, got "taylor:"'],
    ['taylor:two', 'predictor: expected taylor:order, got "taylor:two"'],
    ['taylor:-1', 'predictor: expected taylor:order, got "taylor:-1"'],
    ['taylor:1e1', 'predictor: expected taylor:order, got "taylor:1e1"'],
    ['taylor:1:2', 'predictor: expected taylor:order, got "taylor:1:2"'],
    ['hold:1', 'predictor: expected hold, got "hold:1"'],
    ['hermite:1:0.5:2', 'predictor: expected hermite:order[:scale], got "hermite:1:0.5:2"'],
    ['taylor:6', 'predictor taylor: expected a whole number from 0 to 5 as its order, got 6'],
    ['taylor:1.5', 'predictor taylor: expected a whole number from 0 to 5 as its order, got 1.5'],
    ['newton:9', 'predictor newton: expected a whole number from 0 to 5 as its order, got 9'],
    ['adams-bashforth:0', 'predictor adams-bashforth: expected a whole number from 1 to 5 as its order, got 0'],
    ['hermite:2:0', 'predictor hermite: expected a scale σ above 0 and at most 1, got 0'],
    ['hermite:2:1.2', 'predictor hermite: expected a scale σ above 0 and at most 1, got 1.2'],
    ['chebyshev:9', 'predictor chebyshev: expected a whole number from 0 to 8 as its order, got 9'],
    ['chebyshev:4:0', 'predictor chebyshev: expected a whole number of steps, 1 or more, got 0'],
  ])('refuses %j', (text, message) => {
    expect(() => parsePredictor(text)).toThrow(OptionError);
    expect(() => parsePredictor(text)).toThrow(message);
  });
});

describe('predictorOf', () => {
  it.each<[unknown, RegExp]>([
    [{ name: 'spline' }, /expected hold, linear, .*; got "spline"/],
    [{}, /got undefined/],
    [{ name: 'taylor' }, /predictor taylor: .*got undefined/],
    [{ name: 'taylor', order: Number.NaN }, /predictor taylor: .*got NaN/],
    [{ name: 'hermite', order: 1, scale: Number.NaN }, /scale σ .* got NaN/],
    [{ name: 'chebyshev', degree: 4, history: 5 }, /a history of 6, M \+ 2, or more, got 5/],
    [{ name: 'affine', corrections: [{ step: 1, scale: [1], shift: [] }] }, /got 1 and 0 at step 1; calibrate again/],
    [{ name: 'affine', corrections: [{ step: 1, scale: [], shift: [] }] }, /got 0 and 0 at step 1/],
  ])('refuses %j', (spec, message) => {
    expect(() => predictorOf(spec as PredictorSpec)).toThrow(OptionError);
    expect(() => predictorOf(spec as PredictorSpec)).toThrow(message);
  });
});
