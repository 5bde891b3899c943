import { OptionError } from '../../errors.ts';

/** @throws OptionError unless `value` is a whole number from `min` to `max`. */
export function checkOrder(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new OptionError(
      `predictor ${name}: expected a whole number from ${min} to ${max} as its order, got ${value}`,
    );
  }
}

/** @throws OptionError unless the steps go down, newest first, all before `at`, and are 1 to `history` in number. */
export function checkPast(name: string, past: readonly number[], at: number, history: number): void {
  const descending = [at, ...past].every((step, index, steps) => index === 0 || step < (steps[index - 1] ?? step));
  if (past.length < 1 || past.length > history || !descending) {
    throw new OptionError(
      `predictor ${name}: expected 1 to ${history} past steps, newest first, all before step ${at}; got [${past.join(', ')}]; mend the caller`,
    );
  }
}
