import { InvalidArgumentError } from 'commander';

/** Parsers for commander: a wrong value ends in its message and exit code. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new InvalidArgumentError('expected a whole number');
  return value;
}

/** Of several, with commas between them. */
export function wholeNumbers(text: string): readonly number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!values.every(Number.isSafeInteger))
    throw new InvalidArgumentError('expected whole numbers with commas between them');
  return values;
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
