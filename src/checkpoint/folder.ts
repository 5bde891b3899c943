import { FormatError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { CACHE_PLAN_NAME } from './manifest.ts';

/** The files of a checkpoint that is a folder: on disk, later on a server. */
export interface CheckpointFolder {
  /** Shown in errors. */
  readonly name: string;
  has(file: string): Promise<boolean>;
  /** By its plain name. @throws FileError when it is absent, FormatError when the name leads out of the folder. */
  open(file: string): Promise<ByteSource>;
  /** A folder inside. */
  at(folder: string): CheckpointFolder;
}

/** The text of the cache plan that a converted checkpoint carries. */
export async function readCachePlan(folder: CheckpointFolder): Promise<string | undefined> {
  return (await folder.has(CACHE_PLAN_NAME)) ? readText(folder, CACHE_PLAN_NAME) : undefined;
}

/** Configuration files are small; what is larger is not one. */
export const MAX_TEXT_BYTES = 64 * 2 ** 20;

/** A whole small file as text. @throws FormatError when it is no UTF-8 or not small. */
export async function readText(folder: CheckpointFolder, file: string): Promise<string> {
  const source = await folder.open(file);
  try {
    if (source.size > MAX_TEXT_BYTES)
      throw new FormatError(`${source.name}: ${source.size} bytes are too many for a configuration file`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await source.read(0, source.size));
  } catch (cause) {
    if (cause instanceof TypeError) throw new FormatError(`${source.name}: is no UTF-8 text; get the file again`);
    throw cause;
  } finally {
    await source.close();
  }
}
