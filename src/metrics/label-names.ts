import type { ImageLabel } from '../models/image-classifier-config.ts';

/** What a picture should show: a class, a prompt, or a text of which it is not known which of the two it is. */
export interface WantedSubject {
  readonly kind: 'class' | 'prompt' | 'unknown';
  readonly text: string;
}

/**
 * The labels that a subject names, any of which will do: those of a class' group, or those that a prompt calls by their
 * name, bare ("red apple"), with an article, or as in "an emoji of a red apple". Case, hyphens and apostrophes do not
 * matter. A class is looked for among groups first, a prompt among names, a text of unknown kind among both at once.
 * @returns undefined for a subject that no label fits, such as a prompt that says more than a name
 */
export function labelsOf({ kind, text }: WantedSubject, labels: readonly ImageLabel[]): readonly number[] | undefined {
  const texts = kind === 'class' ? text.split(',') : [text];
  for (const wanted of texts.flatMap(bareNames)) {
    const [grouped, named] = [labelsWhere(labels, inGroup(wanted)), labelsWhere(labels, isNamed(wanted))];
    const found = kind === 'unknown' ? [...new Set([...grouped, ...named])] : kind === 'class' ? grouped : named;
    if (found.length > 0) return found;
    const otherwise = kind === 'class' ? named : grouped;
    if (otherwise.length > 0) return otherwise;
  }
  return undefined;
}

function labelsWhere(labels: readonly ImageLabel[], fits: (label: ImageLabel) => boolean): number[] {
  return labels.flatMap((label, i) => (fits(label) ? [i] : []));
}

function inGroup(wanted: string): (label: ImageLabel) => boolean {
  return ({ group }) => group !== undefined && plain(group) === wanted;
}

function isNamed(wanted: string): (label: ImageLabel) => boolean {
  return ({ names }) => names.some((name) => plain(name) === wanted);
}

/** As it is, then without what only says that it is a picture, then without its article. */
function bareNames(text: string): readonly string[] {
  const whole = plain(text);
  const subject = whole.replace(/^(an? |the )?(emoji|picture|icon|photo|image|drawing) of /, '').replace(/ emoji$/, '');
  return [...new Set([whole, subject, subject.replace(/^(an?|the) /, '')])];
}

/** As the captions of pixart-emoji write names (checkpoints/pixart-emoji/train/prepare_captions.py). */
function plain(text: string): string {
  return text
    .toLowerCase()
    .replace(/[-_’'.!]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}
