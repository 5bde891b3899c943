import { OptionError, ShapeError } from '../errors.ts';
import type { FeatureRows } from './frechet.ts';

/** How far a row may be from the sum 1, in float32. */
const TOLERANCE = 1e-3;

/**
 * Inception Score (Salimans et al., arXiv 1606.03498, §4) over class probabilities: exp of the mean Kullback–Leibler
 * divergence of a picture's classes from those of all pictures. From 1, where all pictures look alike or like nothing, to
 * the number of classes. Of all pictures at once; equals torchmetrics' with one split.
 * @throws OptionError without pictures or for rows that are no probabilities; ShapeError where lengths differ
 */
export function inceptionScore(probabilities: FeatureRows): number {
  const [first] = probabilities;
  if (!first) throw new OptionError('inceptionScore: expected the class probabilities of a picture, got none');
  checkProbabilities(probabilities, first.length);
  const mean = Float64Array.from(
    { length: first.length },
    (_, i) => probabilities.reduce((sum, row) => sum + (row[i] ?? 0), 0) / probabilities.length,
  );
  let divergence = 0;
  for (const row of probabilities) {
    for (let i = 0; i < mean.length; i++) {
      const p = row[i] ?? 0;
      if (p > 0) divergence += p * Math.log(p / (mean[i] ?? 0));
    }
  }
  return Math.exp(divergence / probabilities.length);
}

/** @throws OptionError or ShapeError */
export function checkProbabilities(rows: FeatureRows, classes: number): void {
  rows.forEach((row, i) => {
    if (row.length !== classes)
      throw new ShapeError(`probabilities[${i}]: expected ${classes} classes, got ${row.length}`);
    const values = Array.from(row);
    const sum = values.reduce((total, p) => total + p, 0);
    if (!(Math.abs(sum - 1) <= TOLERANCE) || values.some((p) => p < 0))
      throw new OptionError(`probabilities[${i}]: expected numbers from 0 on whose sum is 1, got a sum of ${sum}`);
  });
}
