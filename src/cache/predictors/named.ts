import { OptionError } from '../../errors.ts';
import { adamsBashforth } from './adams-bashforth.ts';
import { affine } from './affine.ts';
import { chebyshev } from './chebyshev.ts';
import { dmd } from './dmd.ts';
import { foca } from './foca.ts';
import { hermite } from './hermite.ts';
import { hold } from './hold.ts';
import { newton } from './newton.ts';
import type { Predictor, PredictorSpec } from './predictor.ts';
import { taylor } from './taylor.ts';

/** @throws OptionError when the name is unknown, or an order or option out of range. */
export function predictorOf(spec: PredictorSpec): Predictor {
  switch (spec.name) {
    case 'hold':
      return hold();
    case 'taylor':
      return taylor(spec.order);
    case 'newton':
      return newton(spec.order);
    case 'adams-bashforth':
      return adamsBashforth(spec.order);
    case 'hermite':
      return hermite(spec.order, spec.scale);
    case 'chebyshev':
      return chebyshev(spec.degree, spec);
    case 'foca':
      return foca();
    case 'dmd':
      return dmd();
    case 'affine':
      return affine(spec.corrections);
    default:
      throw unknown((spec as { name: unknown }).name);
  }
}

interface Form {
  /** As a user writes it, an optional number in brackets. */
  readonly shown: string;
  readonly numbers: readonly [least: number, most: number];
  readonly spec: (first: number, second: number | undefined) => PredictorSpec;
}

const FORMS: readonly Form[] = [
  { shown: 'hold', numbers: [0, 0], spec: () => ({ name: 'hold' }) },
  { shown: 'linear', numbers: [0, 0], spec: () => ({ name: 'taylor', order: 1 }) },
  { shown: 'taylor:order', numbers: [1, 1], spec: (order) => ({ name: 'taylor', order }) },
  { shown: 'newton:order', numbers: [1, 1], spec: (order) => ({ name: 'newton', order }) },
  { shown: 'adams-bashforth:order', numbers: [1, 1], spec: (order) => ({ name: 'adams-bashforth', order }) },
  {
    shown: 'hermite:order[:scale]',
    numbers: [1, 2],
    spec: (order, scale) => ({ name: 'hermite', order, ...(scale !== undefined && { scale }) }),
  },
  {
    shown: 'chebyshev:degree[:steps]',
    numbers: [1, 2],
    spec: (degree, steps) => ({ name: 'chebyshev', degree, ...(steps !== undefined && { steps }) }),
  },
  { shown: 'foca', numbers: [0, 0], spec: () => ({ name: 'foca' }) },
  { shown: 'dmd', numbers: [0, 0], spec: () => ({ name: 'dmd' }) },
];

/** What `parsePredictor` reads, as a user writes it. `affine` comes from a calibration, not from text. */
export const PREDICTOR_FORMS: readonly string[] = FORMS.map(({ shown }) => shown);

/**
 * Reads one of `PREDICTOR_FORMS`, such as `hold`, `linear` (Taylor of order 1) or `taylor:2`.
 * @throws OptionError naming the predictors there are, or what is out of range.
 */
export function parsePredictor(text: string): PredictorSpec {
  const [name, ...numbers] = text.trim().split(':');
  const form = FORMS.find(({ shown }) => shown.split(':', 1)[0] === name);
  if (!form) throw unknown(text);
  const [least, most] = form.numbers;
  const fits = numbers.length >= least && numbers.length <= most && numbers.every((n) => /^\d+(\.\d+)?$/.test(n));
  if (!fits) throw new OptionError(`predictor: expected ${form.shown}, got ${JSON.stringify(text)}`);
  const [first, second] = numbers.map(Number);
  const spec = form.spec(first ?? 0, second);
  predictorOf(spec);
  return spec;
}

function unknown(got: unknown): OptionError {
  return new OptionError(`predictor: expected ${PREDICTOR_FORMS.join(', ')}; got ${JSON.stringify(got)}`);
}
