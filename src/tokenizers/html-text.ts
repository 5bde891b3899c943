import { DocumentText } from './document-text.ts';
import { namedReference, numericReference } from './html-entities.ts';
import { pythonRegExp, strip } from './python-text.ts';

/** Tags whose content is no markup. */
const RAW = new Set(['script', 'style']);
const MARKED_SECTIONS = new Set(['temp', 'cdata', 'ignore', 'include', 'rcdata']);
const OFFICE_SECTIONS = new Set(['if', 'else', 'endif']);

// after cpython 3.11 Lib/html/parser.py and Lib/_markupbase.py
const INTERESTING = /[&<]/gu;
const CHARACTER_REFERENCE = /&#([0-9]+|[xX][0-9a-fA-F]+)[^0-9a-fA-F]/uy;
const ENTITY_REFERENCE = /&([a-zA-Z][-.a-zA-Z0-9]*)[^a-zA-Z0-9]/uy;
const INCOMPLETE = /&[a-zA-Z#]/uy;
const TAG_NAME = pythonRegExp('([a-zA-Z][^\\t\\n\\r\\f />\\0]*)(?:\\s|/(?!>))*', 'uy');
const VALUE = `'[^']*'|"[^"]*"|(?!['"])[^>\\s]*`;
const ATTRIBUTE = pythonRegExp(`((?<=['"\\s/])[^\\s/>][^\\s/=>]*)(\\s*=+\\s*(${VALUE}))?(?:\\s|/(?!>))*`, 'uy');
const START_TAG = pythonRegExp(
  '<[a-zA-Z][^\\t\\n\\r\\f />\\0]*' +
    `(?:[\\s/]*(?:(?<=['"\\s/])[^\\s/>][^\\s/=>]*(?:\\s*=+\\s*(?:${VALUE})\\s*)?(?:\\s|/(?!>))*)*)?\\s*`,
  'uy',
);
const END_TAG = pythonRegExp('</\\s*([a-zA-Z][-.a-zA-Z0-9:_]*)\\s*>', 'uy');
const COMMENT_END = pythonRegExp('--\\s*>', 'gu');
const SECTION_NAME = pythonRegExp('([a-zA-Z][-_.a-zA-Z0-9]*)\\s*', 'uy');
const SECTION_END = pythonRegExp('\\]\\s*\\]\\s*>', 'gu');
const OFFICE_SECTION_END = pythonRegExp('\\]\\s*>', 'gu');

/**
 * The text of a piece of HTML as `BeautifulSoup(markup, 'html.parser').text` gives it: without tags and comments,
 * references decoded, otherwise as it is. Where Beautiful Soup refuses the markup (an unknown `<![`), that is text.
 */
export function htmlText(markup: string): string {
  return new HtmlText(markup).read();
}

function search(pattern: RegExp, text: string, from: number): RegExpExecArray | null {
  pattern.lastIndex = from;
  return pattern.exec(text);
}

/** html.parser's walk over the markup, whose end is looked at twice: as if more could come, then as the end. */
class HtmlText {
  private readonly document = new DocumentText();
  private at = 0;
  /** The raw tag that is open, and what ends it. */
  private raw: { readonly name: string; readonly end: RegExp } | undefined;

  constructor(private readonly markup: string) {}

  read(): string {
    this.walk(false);
    this.walk(true);
    return this.document.finish();
  }

  private walk(atEnd: boolean): void {
    const { markup, document } = this;
    const length = markup.length;
    while (this.at < length) {
      const found = search(this.raw?.end ?? INTERESTING, markup, this.at);
      if (!found && this.raw) break;
      const next = found?.index ?? length;
      if (next > this.at) document.data(markup.slice(this.at, next));
      this.at = next;
      if (next === length) break;
      const more = markup[next] === '<' ? this.markupAt(next, atEnd) : this.referenceAt(next, atEnd);
      if (!more) break;
    }
    if (atEnd && this.at < length && !this.raw) {
      document.data(markup.slice(this.at));
      this.at = length;
    }
  }

  /** @returns whether the walk goes on */
  private markupAt(start: number, atEnd: boolean): boolean {
    const { markup } = this;
    let end: number;
    if (/^<[a-zA-Z]/u.test(markup.slice(start, start + 2))) end = this.startTag(start);
    else if (markup.startsWith('</', start)) end = this.endTag(start);
    else if (markup.startsWith('<!--', start)) end = this.comment(start);
    else if (markup.startsWith('<?', start)) end = this.upTo('>', start);
    else if (markup.startsWith('<!', start)) end = this.declaration(start);
    else if (start + 1 < markup.length) end = this.asText(start, start + 1);
    else return false;
    if (end < 0) {
      if (!atEnd) return false;
      const close = markup.indexOf('>', start + 1);
      const open = close < 0 ? markup.indexOf('<', start + 1) : close + 1;
      end = this.asText(start, open < 0 ? start + 1 : open);
    }
    this.at = end;
    return true;
  }

  private referenceAt(start: number, atEnd: boolean): boolean {
    const { markup, document } = this;
    const numeric = markup.startsWith('&#', start);
    const match = search(numeric ? CHARACTER_REFERENCE : ENTITY_REFERENCE, markup, start);
    if (match) {
      const name = match[1] ?? '';
      document.data(numeric ? numericReference(name) : (namedReference(name) ?? `&${name}`));
      const end = start + 1 + (numeric ? 1 : 0) + name.length;
      this.at = markup[end] === ';' ? end + 1 : end;
      return true;
    }
    if (numeric) {
      if (markup.includes(';', start)) this.at = this.asText(start, start + 2);
      return false;
    }
    const incomplete = search(INCOMPLETE, markup, start);
    if (incomplete) {
      // a reference of one letter at the end loses its ampersand
      if (atEnd && start + incomplete[0].length === markup.length) this.at = start + 1;
      return false;
    }
    if (start + 1 >= markup.length) return false;
    this.at = this.asText(start, start + 1);
    return true;
  }

  /** These return where the markup ends, or −1 when its end is not there. */
  private startTag(start: number): number {
    const { markup, document } = this;
    const end = this.startTagEnd(start);
    if (end < 0) return end;
    const match = search(TAG_NAME, markup, start + 1);
    const name = (match?.[1] ?? '').toLowerCase();
    let at = start + 1 + (match?.[0].length ?? 0);
    while (at < end) {
      const attribute = search(ATTRIBUTE, markup, at);
      if (!attribute) break;
      at += attribute[0].length;
    }
    const rest = strip(markup.slice(at, end));
    if (rest !== '>' && rest !== '/>') return this.asText(start, end);
    if (rest === '/>') {
      document.open(name);
      document.close(name);
      return end;
    }
    document.openUnlessVoid(name);
    if (RAW.has(name)) this.raw = { name, end: pythonRegExp(`</\\s*${name}\\s*>`, 'giu') };
    return end;
  }

  private startTagEnd(start: number): number {
    const end = start + (search(START_TAG, this.markup, start)?.[0].length ?? 0);
    const next = this.markup[end];
    if (next === '>') return end + 1;
    if (next === '/') return this.markup[end + 1] === '>' ? end + 2 : -1;
    return next === undefined || /[a-zA-Z=]/u.test(next) ? -1 : end;
  }

  private endTag(start: number): number {
    const { markup, document } = this;
    const close = markup.indexOf('>', start + 1) + 1;
    if (close === 0) return -1;
    const match = search(END_TAG, markup, start);
    const name = match?.[1]?.toLowerCase();
    if (this.raw && name !== this.raw.name) return this.asText(start, close);
    if (name !== undefined) {
      document.closeExplicitly(name);
      this.raw = undefined;
      return close;
    }
    const loose = search(TAG_NAME, markup, start + 2);
    if (!loose) {
      if (markup.startsWith('</>', start)) return start + 3;
      return this.upTo('>', start);
    }
    document.closeExplicitly((loose[1] ?? '').toLowerCase());
    return markup.indexOf('>', start + 2 + loose[0].length) + 1;
  }

  private comment(start: number): number {
    return this.leftOut(search(COMMENT_END, this.markup, start + 4));
  }

  private declaration(start: number): number {
    const { markup } = this;
    if (!markup.startsWith('<![', start)) return this.upTo('>', start);
    const match = search(SECTION_NAME, markup, start + 3);
    const name = (match?.[1] ?? '').toLowerCase();
    if (start + 3 + (match?.[0].length ?? 0) === markup.length) return -1;
    const section = MARKED_SECTIONS.has(name);
    if (!section && !OFFICE_SECTIONS.has(name)) return this.asText(start, start + 3);
    const close = search(section ? SECTION_END : OFFICE_SECTION_END, markup, start + 3);
    const content = markup.slice(start + 3, close?.index);
    if (!close || !/^cdata\[/iu.test(content)) return this.leftOut(close);
    this.document.characterData(content.slice('cdata['.length));
    return close.index + close[0].length;
  }

  private upTo(close: string, start: number): number {
    const end = this.markup.indexOf(close, start + 2);
    if (end < 0) return -1;
    this.document.flush();
    return end + 1;
  }

  private leftOut(close: RegExpExecArray | null): number {
    if (!close) return -1;
    this.document.flush();
    return close.index + close[0].length;
  }

  private asText(start: number, end: number): number {
    this.document.data(this.markup.slice(start, end));
    return end;
  }
}
