import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EncodedPrompt } from '../../src/tokenizers/t5-tokenizer.ts';
import { publicFile } from '../public-files.ts';
import { unchecked } from '../unchecked.ts';

/** A small tokenizer of T5's kind; written by test/fixtures/make_tokenizer.py. */
export const SMALL = join(__dirname, '../fixtures/tokenizer');

/** Ids that end in </s>, or what is left of very many. */
export type StoredIds = number[] | { readonly count: number; readonly sha256: string };
export type TokenizerName = 'small' | 't5' | 'emoji';
type ByTokenizer = Readonly<Record<TokenizerName, StoredIds>>;

/** The ids of odd strings by Google's SentencePiece, and of special tokens by transformers. */
export interface OddStrings {
  readonly sha256: Readonly<Record<TokenizerName, string>>;
  readonly odd: { readonly name: string; readonly text: string; readonly ids: ByTokenizer }[];
  readonly long: { readonly name: string; readonly unit: string; readonly length: number; readonly ids: ByTokenizer }[];
  readonly special: { readonly text: string; readonly ids: ByTokenizer }[];
}

export const readOddStrings = () => JSON.parse(readFileSync(join(SMALL, 'odd.json'), 'utf8')) as OddStrings;

/** A tokenizer's spiece.model; undefined, and noted, where the machine has none. */
export function tokenizerFile(name: TokenizerName): string | undefined {
  if (name === 'small') return join(SMALL, 'spiece.model');
  if (name === 't5') return publicFile('t5/spiece.model', "T5's ids equal Google's SentencePiece");
  const file = join(process.cwd(), 'checkpoints/pixart-emoji/spiece.model');
  if (existsSync(file)) return file;
  unchecked(`the emoji tokenizer's ids equal Google's SentencePiece (needs ${file})`);
  return undefined;
}

/** The ids without padding. */
export function idsOf({ inputIds, attentionMask }: EncodedPrompt): number[] {
  return [...inputIds.subarray(0, attentionMask.lastIndexOf(1) + 1)];
}

/** In the form of what was stored. */
export function asStored(ids: readonly number[], stored: StoredIds): StoredIds {
  return Array.isArray(stored) ? [...ids] : { count: ids.length, sha256: sha256(ids.join()) };
}

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
