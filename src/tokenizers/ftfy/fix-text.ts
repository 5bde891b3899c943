import { namedReference, unescapeHtml } from '../html-entities.ts';
import { pythonRegExp } from '../python-text.ts';
import { fixC1Controls, fixEncoding } from './fix-encoding.ts';

/** Latin letters in one character, drawn together or for old encodings (ftfy chardata.LIGATURES). */
const LIGATURES: Readonly<Record<string, string>> = {
  Ĳ: 'IJ',
  ĳ: 'ij',
  ŉ: 'ʼn',
  Ǳ: 'DZ',
  ǲ: 'Dz',
  ǳ: 'dz',
  Ǆ: 'DŽ',
  ǅ: 'Dž',
  ǆ: 'dž',
  Ǉ: 'LJ',
  ǈ: 'Lj',
  ǉ: 'lj',
  Ǌ: 'NJ',
  ǋ: 'Nj',
  ǌ: 'nj',
  ﬀ: 'ff',
  ﬁ: 'fi',
  ﬂ: 'fl',
  ﬃ: 'ffi',
  ﬄ: 'ffl',
  ﬅ: 'ſt',
  ﬆ: 'st',
};
const LIGATURE = new RegExp(`[${Object.keys(LIGATURES).join('')}]`, 'gu');
const TERMINAL_ESCAPE = pythonRegExp('\\x1b\\[[\\d;]*[a-zA-Z]');
const CONTROLS = /[\0-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/gu;

/** In ftfy's order. */
const FIXES: readonly ((text: string) => string)[] = [
  fixEncoding,
  fixC1Controls,
  (text) => text.replace(LIGATURE, (letter) => LIGATURES[letter] ?? letter),
  // full and half width; U+3000 is the full-width space
  (text) => text.replace(/[\u3000\uff01-\uffef]/gu, (wide) => (wide === '\u3000' ? ' ' : wide.normalize('NFKC'))),
  (text) => text.replace(/[\u201c-\u201f]/gu, '"').replace(/[\u02bc\u2018-\u201b]/gu, "'"),
  (text) => text.replace(/\r\n|[\r\u2028\u2029\x85]/gu, '\n'),
  (text) => text.replace(/\p{Surrogate}/gu, '\ufffd'),
  (text) => text.replace(TERMINAL_ESCAPE, ''),
  (text) => text.replace(CONTROLS, ''),
  (text) => text.normalize('NFC'),
];

/**
 * ftfy.fix_text with its default settings, after ftfy 6.3.1 (R. Speer, Apache-2.0): all of its fixes, line by line —
 * HTML references, text read in a wrong encoding, C1 controls, ligatures, full and half width, curly quotes, line
 * breaks, surrogates, terminal escapes, control characters, NFC. What differs: normalisation knows the characters of
 * the JavaScript engine's Unicode, not Python's; lines are not broken up after a million characters.
 */
export function fixText(text: string): string {
  let references = true;
  let fixed = '';
  for (const [line] of text.matchAll(/[^\n]*\n|[^\n]+$/gu)) {
    // markup from here on: references stay
    if (line.includes('<')) references = false;
    fixed += fixLine(line, references);
  }
  return fixed;
}

function fixLine(line: string, references: boolean): string {
  for (let before = line; ; before = line) {
    line = references ? unescapeUnambiguous(before) : before;
    for (const fix of FIXES) line = fix(line);
    if (line === before) return line;
  }
}

/** References that end in a semicolon; also names in capitals, &EACUTE;, where HTML has none such. */
function unescapeUnambiguous(text: string): string {
  return text.replace(/&#?[0-9A-Za-z]{1,24};/gu, (reference) => {
    if (reference.startsWith('&#')) {
      const character = unescapeHtml(reference);
      return character.includes(';') ? reference : character;
    }
    const name = reference.slice(1, -1);
    const character = namedReference(name);
    if (character !== undefined) return character;
    if (name !== name.toUpperCase() || unescapeHtml(reference) !== reference) return reference;
    return namedReference(name.toLowerCase())?.toUpperCase() ?? reference;
  });
}
