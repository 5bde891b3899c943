import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { FileError, OptionError } from '../index.ts';

/** Endings of files that are taken for pictures; what cannot be read of them is refused by name, not passed over. */
const PICTURE = /\.(png|jpe?g|webp|gif|bmp|tiff?)$/i;

export interface PictureFolder {
  readonly folder: string;
  /** File names, sorted as people count: 2 before 10. */
  readonly names: readonly string[];
  /** How many other files lie there. */
  readonly others: number;
}

/** How the pictures of two folders belong together. */
export interface Pairing {
  readonly by: 'name' | 'order';
  /** A file name of each folder. */
  readonly pairs: readonly (readonly [string, string])[];
  /** Pictures of either folder without a partner. */
  readonly alone: number;
}

/** The pictures that lie in a folder itself. @throws FileError when it cannot be read or holds none */
export async function pictureFolder(folder: string): Promise<PictureFolder> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    const reason = { ENOENT: 'no such folder', ENOTDIR: 'is no folder' }[cause.code ?? ''] ?? cause.message;
    throw new FileError(`${folder}: ${reason}; give a folder of pictures`, { cause });
  });
  const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  const order = new Intl.Collator('en', { numeric: true });
  const names = files.filter((name) => PICTURE.test(name)).sort((a, b) => order.compare(a, b) || (a < b ? -1 : 1));
  if (names.length === 0)
    throw new FileError(`${folder}: holds no picture (.png, .jpg, .jpeg); give a folder of pictures`);
  return { folder, names, others: files.length - names.length };
}

/**
 * Pictures of one name are a pair, whatever their ending. Where no name is in both folders and both hold equally many,
 * the first belongs to the first.
 * @throws OptionError where there is no telling, or a name stands for two pictures of a folder
 */
export function pairPictures(a: PictureFolder, b: PictureFolder): Pairing {
  const [first, second] = [byStem(a), byStem(b)];
  const pairs = [...first].flatMap(([stem, name]): [string, string][] => {
    const partner = second.get(stem);
    return partner === undefined ? [] : [[name, partner]];
  });
  if (pairs.length > 0) return { by: 'name', pairs, alone: a.names.length + b.names.length - 2 * pairs.length };
  if (a.names.length === b.names.length)
    return { by: 'order', pairs: a.names.map((name, i) => [name, b.names[i] ?? '']), alone: 0 };
  throw new OptionError(
    `${a.folder} and ${b.folder}: expected pictures of the same names, or equally many, got ${a.names.length} and ` +
      `${b.names.length} without a common name; rename them, or give --unpaired to compare the folders as wholes`,
  );
}

function byStem({ folder, names }: PictureFolder): ReadonlyMap<string, string> {
  const stems = new Map<string, string>();
  for (const name of names) {
    const stem = name.slice(0, -extname(name).length);
    const other = stems.get(stem);
    if (other !== undefined)
      throw new OptionError(`${join(folder, other)} and ${name}: two pictures of one name; remove or rename one`);
    stems.set(stem, name);
  }
  return stems;
}
