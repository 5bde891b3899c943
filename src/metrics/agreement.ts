import { OptionError } from '../errors.ts';
import type { FeatureRows } from './frechet.ts';
import { checkProbabilities } from './inception-score.ts';

/** How well pictures show what was asked for, as a classifier sees it. */
export interface Agreement {
  /** Pictures of which it is known what they should show; the others do not count. */
  readonly pictures: number;
  /** Share of them whose most probable label is one that was asked for, 0 to 1. */
  readonly found: number;
  /** Mean probability of the labels that were asked for, 0 to 1. */
  readonly confidence: number;
}

/**
 * @param probabilities of all labels, a row for each picture
 * @param wanted for each picture the labels any of which will do; undefined where it is not known
 * @returns undefined where nothing is known of any picture
 * @throws OptionError where the two differ in length, or for a label that there is not; ShapeError
 */
export function agreement(
  probabilities: FeatureRows,
  wanted: readonly (readonly number[] | undefined)[],
): Agreement | undefined {
  if (probabilities.length !== wanted.length)
    throw new OptionError(`wanted: expected an entry for ${probabilities.length} pictures, got ${wanted.length}`);
  checkProbabilities(probabilities, probabilities[0]?.length ?? 0);
  let [pictures, found, confidence] = [0, 0, 0];
  probabilities.forEach((row, i) => {
    const labels = wanted[i];
    if (!labels) return;
    const unknown = labels.find((label) => row[label] === undefined);
    if (unknown !== undefined)
      throw new OptionError(`wanted[${i}]: expected labels from 0 to ${row.length - 1}, got ${unknown}`);
    pictures++;
    if (labels.includes(mostProbable(row))) found++;
    confidence += [...new Set(labels)].reduce((sum, label) => sum + (row[label] ?? 0), 0);
  });
  return pictures === 0 ? undefined : { pictures, found: found / pictures, confidence: confidence / pictures };
}

function mostProbable(row: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] ?? 0) > (row[best] ?? 0)) best = i;
  return best;
}
