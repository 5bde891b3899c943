import { FormatError } from '../errors.ts';
import { SPACE_SYMBOL } from './unigram-model.ts';

const SPACE = 0x20;
const SPACE_BYTES = new TextEncoder().encode(SPACE_SYMBOL);
/** The longest replacement of NFKC has 33 bytes (U+FDFA); a file that holds longer ones could fill the memory. */
const MAX_REPLACEMENT = 256;

/** What a text begins with: how many of its bytes, and what stands for them. */
interface Emission {
  readonly consumed: number;
  readonly bytes: Uint8Array;
}

/**
 * SentencePiece's normalisation: the file's own map of characters, which for T5 (nmt_nfkc) is close to NFKC but not
 * JavaScript's, then spaces joined and written as ▁, one in front. After google/sentencepiece src/normalizer.cc.
 */
export class CharsmapNormalizer {
  /** A double-array trie over bytes (Darts-clone). */
  private readonly units: Uint32Array;
  /** Replacements, each ended by a zero. */
  private readonly replacements: Uint8Array;

  /**
   * @param charsmap the trie's length in bytes as uint32, the trie, the replacements; empty: nothing is replaced
   * @throws FormatError when these parts are not all there.
   */
  constructor(
    private readonly where: string,
    charsmap: Uint8Array,
  ) {
    const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
    const size = charsmap.length >= 4 ? view.getUint32(0, true) : 0;
    if (charsmap.length > 0 && (size === 0 || size % 4 !== 0 || size > charsmap.length - 5)) throw this.broken();
    this.units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.replacements = charsmap.subarray(4 + size);
    if (longestRun(this.replacements) > MAX_REPLACEMENT) throw this.broken();
  }

  /** @param text of any characters; lone surrogates are read as U+FFFD. @returns what pieces are looked for in */
  normalize(text: string): string {
    const input = new TextEncoder().encode(text);
    const output: number[] = [];
    let afterSpace = true;
    for (let at = 0; at < input.length; ) {
      const { consumed, bytes } = this.emission(input, at);
      at += consumed;
      let from = 0;
      while (afterSpace && bytes[from] === SPACE) from++;
      if (from === bytes.length) continue;
      if (output.length === 0) output.push(...SPACE_BYTES);
      for (const byte of bytes.subarray(from)) {
        if (byte === SPACE) output.push(...SPACE_BYTES);
        else output.push(byte);
      }
      afterSpace = bytes.at(-1) === SPACE;
    }
    // a ▁ that was written in the text goes, too
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(output)).replace(/▁+$/u, '');
  }

  /** The longest match of the map, or else one character as it is. */
  private emission(input: Uint8Array, start: number): Emission {
    let matched = 0;
    let value = 0;
    let node = offsetOf(this.units[0] ?? 0);
    for (let at = start; at < input.length; at++) {
      const byte = input[at] ?? 0;
      node ^= byte;
      const unit = this.units[node];
      if (unit === undefined || (unit & 0x800000ff) !== byte) break;
      node ^= offsetOf(unit);
      if ((unit & 0x100) !== 0) {
        matched = at + 1 - start;
        value = (this.units[node] ?? 0) & 0x7fffffff;
      }
    }
    if (matched > 0) return { consumed: matched, bytes: this.replacement(value) };
    const length = characterLength(input[start] ?? 0);
    return { consumed: length, bytes: input.subarray(start, start + length) };
  }

  private replacement(from: number): Uint8Array {
    const end = this.replacements.indexOf(0, from);
    if (end < 0) throw this.broken();
    return this.replacements.subarray(from, end);
  }

  private broken(): FormatError {
    return new FormatError(`${this.where}: its map of characters (precompiled_charsmap) is damaged; get it again`);
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/** Bytes of the UTF-8 character that starts with this byte. */
function characterLength(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

function longestRun(replacements: Uint8Array): number {
  let longest = 0;
  let start = 0;
  for (let end = replacements.indexOf(0); end >= 0; end = replacements.indexOf(0, start)) {
    longest = Math.max(longest, end - start);
    start = end + 1;
  }
  return Math.max(longest, replacements.length - start);
}
