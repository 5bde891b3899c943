// Python's $ is also before a newline at the end
const END = '(?=\\n?$)';
const NULL = `\\xc0(?:\\x80|${END})`;
const CESU_8 = `\\xed(?:[\\xa0-\\xaf]|${END})(?:[\\x80-\\xbf]|${END})(?:\\xed|${END})(?:[\\xb0-\\xbf]|${END})(?:[\\x80-\\xbf]|${END})`;
const SURROGATE = `\\xed(?:[\\xa0-\\xbf]|${END})(?:[\\x80-\\xbf]|${END})`;
const SPECIAL = new RegExp(`${NULL}|(${CESU_8})|${SURROGATE}`, 'u');

/** UTF-8 out of bytes, one to a character. Undefined when they are none. */
export function decodeUtf8(bytes: string): string | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const encoded = Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
  try {
    return decoder.decode(encoded);
  } catch {
    return undefined;
  }
}

/**
 * UTF-8 in which characters beyond U+FFFF may be two surrogates of three bytes each (CESU-8), and U+0000 the bytes
 * C0 80 (Java). After ftfy's codec utf-8-variants.
 */
export function decodeUtf8Variants(bytes: string): string | undefined {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const rest = bytes.slice(at);
    const special = SPECIAL.exec(rest);
    const plain = decodeUtf8(rest.slice(0, special?.index));
    if (plain === undefined) return undefined;
    text += plain;
    if (!special) return text;
    at += special.index;
    const decoded = decodeSpecial(bytes.slice(at), special[1] !== undefined);
    if (!decoded) return undefined;
    text += decoded.text;
    at += decoded.length;
  }
  return text;
}

function decodeSpecial(bytes: string, pair: boolean): { text: string; length: number } | undefined {
  if (bytes.startsWith('\xc0')) return bytes.length > 1 ? { text: '\0', length: 2 } : undefined;
  if (bytes.length < 6 || !pair) return undefined;
  const bits = (index: number, mask: number) => bytes.charCodeAt(index) & mask;
  const high = (bits(1, 0x0f) << 16) + (bits(2, 0x3f) << 10);
  return { text: String.fromCodePoint(0x10000 + high + (bits(4, 0x0f) << 6) + bits(5, 0x3f)), length: 6 };
}
