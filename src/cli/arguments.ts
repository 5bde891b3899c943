import { InvalidArgumentError, Option } from 'commander';

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

/** Beside --steps. */
export function timestepsOption(): Option {
  return new Option('--timesteps <t,…>', 'instead: where each step is, from 999 down to 0, such as 999,850,640,300')
    .argParser(wholeNumbers)
    .conflicts('steps');
}

/** For options that may be given several times. */
export function appended(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
