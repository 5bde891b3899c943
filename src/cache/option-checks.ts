import { OptionError } from '../errors.ts';

/** @throws OptionError unless `value` is a number from `min` on, `max` at most. */
export function checkNumber(name: string, value: number, min: number, max = Number.POSITIVE_INFINITY): void {
  if (value >= min && value <= max) return;
  const range = max === Number.POSITIVE_INFINITY ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new OptionError(`${name}: expected a number ${range}, got ${value}`);
}

/** @throws OptionError unless `value` is a whole number from `min` on, or infinite where that means no limit. */
export function checkCount(name: string, value: number, min = 0): void {
  if (value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && value >= min)) return;
  throw new OptionError(`${name}: expected a whole number of at least ${min}, got ${value}`);
}
