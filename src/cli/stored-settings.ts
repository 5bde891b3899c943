import { readFile } from 'node:fs/promises';
import {
  FileError,
  OptionError,
  parsePictureSettings,
  readPngText,
  SETTINGS_KEYWORD,
  type StoredSettings,
} from '../index.ts';
import { packageVersion } from './package-folder.ts';

/**
 * The settings in a picture that `generate` wrote.
 * @throws FileError when it cannot be read; FormatError when it is no PNG, or its settings are damaged; OptionError when
 * it carries none, or those of a newer delta-dit.
 */
export async function readSettings(path: string): Promise<StoredSettings> {
  const bytes = await readFile(path).catch((cause: Error) => {
    throw new FileError(`--from-image ${path}: could not be read (${cause.message}); give the path of a PNG file`, {
      cause,
    });
  });
  const json = readPngText(path, bytes).get(SETTINGS_KEYWORD);
  if (json !== undefined) return parseSettings(path, json);
  throw new OptionError(
    `${path}: carries no settings of delta-dit; it was made with --no-metadata or by another program, or a program that saved it again left them out. Give the options themselves`,
  );
}

/** @throws FormatError or OptionError as `readSettings`. */
export function parseSettings(path: string, json: string): StoredSettings {
  return parsePictureSettings(path, json, packageVersion());
}
