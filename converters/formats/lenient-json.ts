import { type CheckpointFolder, readText } from '../../src/checkpoint/folder.ts';
import { isJsonObject, type JsonObject } from '../../src/checkpoint/strict-json.ts';
import { CheckpointError, FormatError } from '../../src/errors.ts';

/** A string, or one of the number words that Python writes and JSON does not know. */
const STRING_OR_WORD = /"(?:[^"\\]|\\[\s\S]?)*(?:"|$)|-?\b(?:NaN|Infinity)\b/g;
/** Stands for NaN, which JSON cannot write; nobody names anything so. */
const NAN = '\0NaN';
/** What JSON reads as the value of each word. */
const AS_JSON: ReadonlyMap<string, string> = new Map([
  ['NaN', JSON.stringify(NAN)],
  ['Infinity', '1e999'],
  ['-Infinity', '-1e999'],
]);
/** A configuration is some kilobytes, also a `model_index.json` with a thousand class names. */
const MAX_LENGTH = 2 ** 20;

/**
 * JSON as Python's json.dumps writes it: `NaN`, `Infinity` and `-Infinity` may stand for numbers (diffusers'
 * scheduler_config.json has `-Infinity`), and a byte order mark may come first.
 * @param where shown in errors: the path of the file.
 * @throws FormatError when the text is anything else.
 */
export function parseLenientJson(where: string, text: string): unknown {
  if (text.length > MAX_LENGTH) {
    throw new FormatError(`${where}: expected a configuration of at most ${MAX_LENGTH} characters, got ${text.length}`);
  }
  const json = text.replace(/^\uFEFF/, '').replace(STRING_OR_WORD, (match) => AS_JSON.get(match) ?? match);
  try {
    return JSON.parse(json, (_, value) => (value === NAN ? Number.NaN : value));
  } catch (cause) {
    throw new FormatError(`${where}: expected JSON (${(cause as Error).message}); get the file again`, { cause });
  }
}

/** A configuration file of a folder. @throws FormatError or CheckpointError when it is no JSON object. */
export async function readLenientJson(folder: CheckpointFolder, file: string): Promise<JsonObject> {
  const where = `${folder.name}/${file}`;
  const json = parseLenientJson(where, await readText(folder, file));
  if (!isJsonObject(json)) throw new CheckpointError(`${where}: expected a JSON object`);
  return json;
}
