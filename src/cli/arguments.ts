import { InvalidArgumentError } from 'commander';

/** Parsers for commander: a wrong value ends in its message and exit code. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new InvalidArgumentError('expected a whole number');
  return value;
}

export function finiteNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number');
  return value;
}

/** For options that may be given several times. */
export function appended(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
