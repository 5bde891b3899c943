import { FormatError } from '../errors.ts';
import { quoted } from './quoted.ts';

/** A JSON object, as parsed. */
export type JsonObject = { readonly [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A JSON object in which no key occurs twice, at any depth: JSON.parse would keep the last silently, another reader
 * the first.
 * @throws FormatError when the text is not such an object.
 */
export function parseStrictJson(where: string, text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${where}: expected JSON (${(cause as Error).message}); it is damaged, get it again`, {
      cause,
    });
  }
  if (!isJsonObject(value)) throw new FormatError(`${where}: expected a JSON object; it is damaged, get it again`);
  const twice = duplicateKey(text);
  if (twice !== undefined) {
    throw new FormatError(
      `${where}: the key ${quoted(twice)} occurs twice in one object; it is damaged or hostile, get it again`,
    );
  }
  return value;
}

/** The first key that occurs twice in one object of a valid JSON text. */
function duplicateKey(text: string): string | undefined {
  const open: (Set<string> | null)[] = []; // the keys of each open object; null for an array
  let keyNext = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : null);
      keyNext = char === '{';
    } else if (char === '}' || char === ']') {
      open.pop();
      keyNext = false;
    } else if (char === ',') {
      keyNext = open.at(-1) instanceof Set;
    } else if (char === '"') {
      const end = stringEnd(text, at);
      if (keyNext) {
        const key: string = JSON.parse(text.slice(at, end));
        const keys = open.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
        keyNext = false;
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** The position after the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}
