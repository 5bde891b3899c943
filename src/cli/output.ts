import { OptionError, type SubjectKind } from '../index.ts';
import { checkOutput, pictureKind } from './pictures.ts';

/** Where pictures go: one file with all of them, which may be stdout, or a file for each. */
export type Output =
  | { readonly kind: 'stdout' }
  | { readonly kind: 'sheet'; readonly path: string }
  | { readonly kind: 'each'; readonly paths: readonly string[] };

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** What names a picture's file. */
export interface NamedPicture {
  /** The class or the prompt. */
  readonly subject: string;
  readonly seed: number;
  /** Its place among all pictures, from 0 on. */
  readonly index: number;
}

/**
 * What `-o` means: `-` is stdout; a name with `{seed}`, `{index}`, and `{class}` or `{prompt}` is a file for each
 * picture. Indices count from 1, all with as many digits as the last one, so that files sort as they were made.
 * @param total of the pictures, those counted that are left out
 * @throws OptionError for other placeholders, names that end otherwise than pictures do, or a name that two pictures get.
 */
export function outputOf(name: string, kind: SubjectKind, pictures: readonly NamedPicture[], total: number): Output {
  if (name === '-') return { kind: 'stdout' };
  pictureKind(name);
  const used = [...name.matchAll(PLACEHOLDER)].map(([, word = '']) => word);
  const unknown = used.find((word) => !['seed', 'index', kind].includes(word));
  if (unknown !== undefined)
    throw new OptionError(`-o ${name}: expected {seed}, {index} or {${kind}} between braces, got {${unknown}}`);
  if (used.length === 0) return { kind: 'sheet', path: name };
  const digits = String(total).length;
  const paths = pictures.map(({ seed, subject, index }) => {
    const values: Readonly<Record<string, string>> = {
      seed: String(seed),
      index: String(index + 1).padStart(digits, '0'),
      [kind]: fileNamePart(subject, kind),
    };
    return name.replace(PLACEHOLDER, (_, word: string) => values[word] ?? '');
  });
  checkApart(name, paths);
  return { kind: 'each', paths };
}

/** The files that pictures end up in; none for stdout. */
export function pathsOf(output: Output): readonly string[] {
  if (output.kind === 'each') return output.paths;
  return output.kind === 'sheet' ? [output.path] : [];
}

/** Where the preview of a file is shown: beside it. */
export function previewPath(path: string): string {
  return `${path.replace(/\.(png|jpe?g)$/i, '')}.preview.png`;
}

/** @throws FileError for the first file that exists, unless `force`, or that cannot be written. */
export async function checkFiles(paths: readonly string[], force: boolean): Promise<void> {
  for (const path of paths) await checkOutput(path, force);
}

function checkApart(name: string, paths: readonly string[]): void {
  const seen = new Set<string>();
  for (const path of paths) {
    if (seen.has(path)) throw new OptionError(`-o ${name}: two pictures would be ${path}; add {index} to the name`);
    seen.add(path);
  }
}

/** A file's name may be 255 bytes long; the rest of it needs some, and letters take up to four. */
const LONGEST_PART = 50;

/** Letters, digits, - and _ of a subject, so that it neither leaves the folder nor needs quoting. */
function fileNamePart(subject: string, otherwise: string): string {
  const plain = subject.replace(/[^\p{L}\p{M}\p{N}_-]+/gu, '-').replace(/^-+/, '');
  return [...plain].slice(0, LONGEST_PART).join('').replace(/-+$/, '') || otherwise;
}
