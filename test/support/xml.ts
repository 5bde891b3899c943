/** An element of an XML document. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Its own text, entities resolved. */
  readonly text: string;
}

interface OpenElement extends XmlElement {
  readonly children: XmlElement[];
  text: string;
}

const TOKEN = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<&]*(?:&#?\w+;[^"<&]*)*")*)\s*(\/?)>|([^<&>]+)|&#(\d+);/y;
// XML 1.0, production 2
const ALLOWED = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u;

/** Reads what of XML an SVG of ours may use; throws where a document is not well-formed. */
export function parseXml(document: string): XmlElement {
  if (!ALLOWED.test(document)) throw new Error('a character that XML forbids');
  const top: OpenElement = { name: '', attributes: {}, children: [], text: '' };
  const open = [top];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < document.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(document);
    const parent = open.at(-1)!;
    if (!match) throw new Error(`not well-formed at ${at}: ${document.slice(at, at + 60)}`);
    const [, closes, name, attributes = '', isEmpty, text, code] = match;
    if (text !== undefined) parent.text += text;
    else if (code !== undefined) parent.text += String.fromCodePoint(Number(code));
    else if (closes) {
      if (open.length === 1 || parent.name !== name) throw new Error(`</${name}> at ${at} closes <${parent.name}>`);
      open.pop();
    } else {
      const element: OpenElement = { name: name!, attributes: attributesOf(attributes), children: [], text: '' };
      parent.children.push(element);
      if (!isEmpty) open.push(element);
    }
  }
  if (open.length !== 1 || top.children.length !== 1 || top.text.trim() !== '')
    throw new Error(`expected one element, whole, got ${top.children.length}`);
  return top.children[0]!;
}

function attributesOf(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([\w:-]+)="([^"]*)"/g)) {
    if (name! in attributes) throw new Error(`the attribute ${name} twice`);
    attributes[name!] = value!.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
  }
  return attributes;
}

/** The element and all below it, in order. */
export function allElements(element: XmlElement): XmlElement[] {
  return [element, ...element.children.flatMap(allElements)];
}
