import { OptionError } from '../errors.ts';

/**
 * A class by its number, or by one of its names (case does not matter; an entry of `labels` may hold several,
 * separated by commas, as diffusers' id2label does).
 * @throws OptionError for an unknown class; the message lists what exists.
 */
export function classIndex(wanted: number | string, labels: readonly string[], numClasses: number): number {
  const index = typeof wanted === 'number' || /^\d+$/.test(wanted) ? Number(wanted) : indexOfName(wanted, labels);
  if (Number.isInteger(index) && index >= 0 && index < numClasses) return index;
  const names =
    labels.length > 0 ? `, or one of: ${labels.slice(0, 100).join(' · ')}` : '; this checkpoint has no class names';
  throw new OptionError(`class: expected a number from 0 to ${numClasses - 1}${names}; got ${JSON.stringify(wanted)}`);
}

function indexOfName(name: string, labels: readonly string[]): number {
  const wanted = name.trim().toLowerCase();
  return labels.findIndex((entry) => entry.split(',').some((one) => one.trim().toLowerCase() === wanted));
}
