import { FormatError } from '../errors.ts';
import { quoted } from './quoted.ts';

/**
 * File names that come out of a file (an index, a manifest) may name a neighbour and nothing else.
 * @throws FormatError when `name` holds a path.
 */
export function assertPlainFileName(where: string, name: string): void {
  if (name === '' || name === '.' || name === '..' || /[/\\:\0]/.test(name)) {
    throw new FormatError(`${where}: expected a plain file name, got ${quoted(name)}; do not use this checkpoint`);
  }
}
