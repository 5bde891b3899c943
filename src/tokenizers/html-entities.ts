import { decodeHTML, decodeHTMLStrict } from 'entities';

/** What &#128; … &#159; mean: Windows-1252, where it has a character (HTML, "Numeric character reference end state"). */
const WINDOWS_1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';
/** Characters that html.unescape leaves out: controls without a meaning, and noncharacters. */
const LEFT_OUT = /^[\x01-\x08\x0b\x0e-\x1f\x7f]$|^\p{Noncharacter_Code_Point}$/u;
const REFERENCE = /&(?:#([0-9]+);?|#[xX]([0-9a-fA-F]+);?|[^\t\n\f <&#;]{1,32};?)/gu;

/** Python's html.unescape: every reference, also those that lack their semicolon, such as &ampamp. */
export function unescapeHtml(text: string): string {
  return text.replace(REFERENCE, (reference, decimal?: string, hexadecimal?: string) => {
    if (decimal === undefined && hexadecimal === undefined) return decodeHTML(reference);
    const character = numericReference(decimal ?? `x${hexadecimal}`);
    return LEFT_OUT.test(character) ? '' : character;
  });
}

/** The character of &#…;. @param number decimal, or hexadecimal after an x */
export function numericReference(number: string): string {
  const code = /^x/iu.test(number) ? Number.parseInt(number.slice(1), 16) : Number.parseInt(number, 10);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\ufffd';
  if (code >= 0x80 && code < 0xa0) return WINDOWS_1252[code - 0x80] ?? '';
  return String.fromCodePoint(code);
}

/** The characters of &name;; undefined where HTML has no such name. */
export function namedReference(name: string): string | undefined {
  const reference = `&${name};`;
  const decoded = decodeHTMLStrict(reference);
  return decoded === reference ? undefined : decoded;
}
