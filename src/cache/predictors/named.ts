import { OptionError } from '../../errors.ts';
import { hold } from './hold.ts';
import type { Predictor, PredictorSpec } from './predictor.ts';
import { taylor } from './taylor.ts';

/** @throws OptionError when the name is unknown or an order out of range. */
export function predictorOf(spec: PredictorSpec): Predictor {
  switch (spec.name) {
    case 'hold':
      return hold();
    case 'taylor':
      return taylor(spec.order);
    default:
      throw unknownName((spec as { name: unknown }).name);
  }
}

/**
 * Reads `hold`, `linear` (Taylor of order 1) or `name:order`, such as `taylor:2`.
 * @throws OptionError naming the predictors there are, or the orders that one takes.
 */
export function parsePredictor(text: string): PredictorSpec {
  if (text === 'hold') return { name: 'hold' };
  if (text === 'linear') return { name: 'taylor', order: 1 };
  const [name = '', order = '', ...rest] = text.split(':');
  if (name !== 'taylor') throw unknownName(text);
  if (!/^\d+$/.test(order) || rest.length > 0) {
    throw new OptionError(`predictor: expected an order after ${name}, as in ${name}:2; got ${JSON.stringify(text)}`);
  }
  const spec: PredictorSpec = { name, order: Number(order) };
  predictorOf(spec);
  return spec;
}

function unknownName(got: unknown): OptionError {
  return new OptionError(`predictor: expected hold, linear or taylor:<order>; got ${JSON.stringify(got)}`);
}
