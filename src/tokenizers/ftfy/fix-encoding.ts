import { isBad } from './badness.ts';
import { CODE_PAGES, type CodePage, decodeWindows1252, encode } from './code-pages.ts';
import { decodeUtf8, decodeUtf8Variants } from './utf8-variants.ts';

// Regular expressions over bytes, one to a character (ftfy 6.3.1, chardata and fixes).
/** UTF-8 in which a space stands for byte a0. */
const ALTERED_UTF8 = new RegExp(
  [
    '[\\xc2\\xc3\\xc5\\xce\\xd0\\xd9] ',
    '[\\xe2\\xe3] [\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf]',
    '[\\xe0-\\xe3][\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf] ',
    '\\xf0 [\\x80-\\xbf][\\x80-\\xbf]',
    '\\xf0[\\x80-\\xbf] [\\x80-\\xbf]',
    '\\xf0[\\x80-\\xbf][\\x80-\\xbf] ',
  ].join('|'),
  'gu',
);
const A_GRAVE_WORD = /\xc3 (?! |quele|quela|quilo|s )/gu;
/** UTF-8 in which byte 1a or a question mark stands for bytes that were lost. */
const LOSSY_UTF8 = new RegExp(
  [
    '[\\xc2-\\xdf]\\x1a',
    '[\\xc2\\xc3]\\?',
    '\\xed[\\xa0-\\xaf][\\x1a?]\\xed[\\xb0-\\xbf][\\x1a?\\x80-\\xbf]',
    '\\xed[\\xa0-\\xaf][\\x1a?\\x80-\\xbf]\\xed[\\xb0-\\xbf][\\x1a?]',
    '[\\xe0-\\xef][\\x1a?][\\x1a\\x80-\\xbf]',
    '[\\xe0-\\xef][\\x1a\\x80-\\xbf][\\x1a?]',
    '[\\xf0-\\xf4][\\x1a?][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf]',
    '[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a?][\\x1a\\x80-\\xbf]',
    '[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf][\\x1a?]',
    '\\x1a',
  ].join('|'),
  'gu',
);
const LOST = '\xef\xbf\xbd'; // U+FFFD

/** Latin letters and their like, in which UTF-8 is misread (ftfy chardata.UTF8_CLUES). */
const LETTER_PAGES = CODE_PAGES.filter(({ name }) => name === 'latin-1' || name.startsWith('windows-'));
const FIRST_OF_2 = lettersOf(0xc2, 0xdf);
const FIRST_OF_3 = lettersOf(0xe0, 0xef);
const FIRST_OF_4 = lettersOf(0xf0, 0xf0) + lettersOf(0xf3, 0xf3);
const CONTINUATION = lettersOf(0x80, 0xbf);
/** Without punctuation that often stands for itself. */
const STRICT_CONTINUATION = CONTINUATION.replace(/[–—―‘’‚“”„•…]/gu, '');
const EMBEDDED_UTF8 = new RegExp(
  `(?<![${STRICT_CONTINUATION}])` +
    `(?:[${FIRST_OF_2}][ ${CONTINUATION}]|[${FIRST_OF_3}][ ${CONTINUATION}]{2}|[${FIRST_OF_4}][ ${CONTINUATION}]{3})+`,
  'gu',
);
const C1_CONTROLS = /[\x80-\x9f]/gu;

/** Text that was read in a wrong encoding, read in the right one: ftfy 6.3.1's fix_encoding. */
export function fixEncoding(text: string): string {
  for (let before = text; ; before = text) {
    text = fixOneLayer(before);
    if (text === before) return text;
  }
}

/** C1 controls as the characters that Windows-1252 has in their places. */
export function fixC1Controls(text: string): string {
  return text.replace(C1_CONTROLS, decodeWindows1252);
}

function fixOneLayer(text: string): string {
  if (/^[\0-\x7f]*$/u.test(text) || !isBad(text)) return text;
  for (const page of CODE_PAGES) {
    const bytes = encode(text, page);
    const fixed = bytes === undefined ? undefined : readAsUtf8(bytes, page);
    if (fixed !== undefined) return fixed;
  }
  const fixed = text.replace(EMBEDDED_UTF8, (part) => (part !== text && isBad(part) ? fixEncoding(part) : part));
  if (fixed !== text) return fixed;
  // Latin-1 that was meant to be Windows-1252; else nothing but single controls
  return fixC1Controls(text);
}

function readAsUtf8(bytes: string, page: CodePage): string | undefined {
  let restored = bytes;
  // MacRoman has an en dash in that place, which a space often follows
  if (page.name !== 'macroman' && bytes.search(ALTERED_UTF8) >= 0) {
    restored = bytes
      .replace(A_GRAVE_WORD, '\xc3\xa0 ')
      .replace(ALTERED_UTF8, (sequence) => sequence.replaceAll(' ', '\xa0'));
  }
  if (page.sloppy) restored = restored.replace(LOSSY_UTF8, LOST);
  return /[\xed\xc0]/u.test(restored) ? decodeUtf8Variants(restored) : decodeUtf8(restored);
}

/** The characters of these bytes in the letter pages, each once. */
function lettersOf(first: number, last: number): string {
  return [...new Set(LETTER_PAGES.flatMap(({ high }) => [...high.slice(first - 0x80, last - 0x80 + 1)]))].join('');
}
