/**
 * Text as Python's str and re see it. Their \w, \d, \s and \b know all of Unicode; JavaScript's know ASCII (\s a little
 * more, and other characters). What is in a class is decided by the JavaScript engine's version of Unicode.
 */

/** Python's str.isspace: other than JavaScript's \s it has U+001C–U+001F and U+0085, and no U+FEFF. */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
/** str.isalnum and the underscore. Combining marks are no part of it. */
const WORD = '\\p{L}\\p{N}_';
const DIGIT = '\\p{Nd}';

const CLASSES: Readonly<Record<string, string>> = {
  '\\w': WORD,
  '\\d': DIGIT,
  '\\s': SPACE,
};
const ALONE: Readonly<Record<string, string>> = {
  '\\W': `[^${WORD}]`,
  '\\D': `[^${DIGIT}]`,
  '\\S': `[^${SPACE}]`,
  '\\b': `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`,
};

/**
 * A regular expression whose \w, \d, \s and \b are Python's; of \W, \D and \S only outside square brackets.
 * @param source in the syntax of JavaScript, of which the rest is kept
 */
export function pythonRegExp(source: string, flags = 'gu'): RegExp {
  let inBrackets = false;
  const translated = source.replace(/\\.|[[\]]/gsu, (token) => {
    if (token === '[') inBrackets = true;
    if (token === ']') inBrackets = false;
    const members = CLASSES[token];
    if (members !== undefined) return inBrackets ? members : `[${members}]`;
    return (inBrackets ? undefined : ALONE[token]) ?? token;
  });
  return new RegExp(translated, flags);
}

const ENDS = pythonRegExp('^\\s+|\\s+$');

/** str.strip() */
export function strip(text: string): string {
  return text.replace(ENDS, '');
}

/** urllib.parse.unquote_plus: %XX as UTF-8, what is none as U+FFFD. Each run of ASCII is decoded for itself. */
export function unquotePlus(text: string): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return text.replaceAll('+', ' ').replace(/[\0-\x7f]+/gu, (ascii) => {
    if (!ascii.includes('%')) return ascii;
    const bytes: number[] = [];
    for (const [part] of ascii.matchAll(/%[0-9a-fA-F]{2}|./gsu)) {
      bytes.push(part.length === 3 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0));
    }
    return decoder.decode(Uint8Array.from(bytes));
  });
}
