/** A measurement that was repeated, in its own unit. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  /** max − min */
  readonly spread: number;
}

/** @throws RangeError for no values: there is nothing to say of them. */
export function spreadOf(values: readonly number[]): Spread {
  const median = medianOf(values);
  const [min, max] = [Math.min(...values), Math.max(...values)];
  return { min, median, max, spread: max - min };
}

/** The middle value, or the mean of the two in the middle. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [lower, upper] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (lower === undefined || upper === undefined) throw new RangeError('a median needs a value');
  return lower === upper ? lower : (lower + upper) / 2; // ∞ and ∞, too
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation of a sample, over n − 1; 0 for a single value. */
export function stdOf(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
