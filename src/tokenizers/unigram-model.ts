import { quoted } from '../checkpoint/quoted.ts';
import { FormatError } from '../errors.ts';

/** The space inside pieces, U+2581. */
export const SPACE_SYMBOL = '▁';
/** T5's, where the file names none: <extra_id_0> has the highest id (transformers T5Tokenizer, extra_ids). */
const EXTRA_IDS = 100;
/** Far above every published model (mT5 has 250,100); what has more is not one. */
const MAX_PIECES = 2 ** 20;
/** T5 has 103. */
const MAX_SPECIAL_TOKENS = 1000;
/** SentencePiece trains pieces of at most 16 characters. */
const MAX_PIECE_LENGTH = 256;

/** What a piece is for; only `normal` ones are looked for in a text. */
export type PieceKind = 'normal' | 'unknown' | 'control' | 'unused';

export interface Piece {
  readonly text: string;
  /** ln of its probability. */
  readonly score: number;
  readonly kind: PieceKind;
}

/** A SentencePiece unigram model as T5 has it, from whichever file. */
export interface UnigramModel {
  /** By text: the id and the score of the pieces that a text is cut into. */
  readonly pieces: ReadonlyMap<string, { readonly id: number; readonly score: number }>;
  readonly unknownId: number;
  /** By text: the ids of tokens that stand for themselves wherever they are written, </s>, <pad>, <extra_id_0>, … */
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly endId: number;
  readonly padId: number;
  /** One more than the highest id. */
  readonly vocabularySize: number;
  /** SentencePiece's precompiled_charsmap; empty: characters stay as they are. */
  readonly charsmap: Uint8Array;
}

/**
 * @param pieces by id
 * @param specialTokens beyond the control pieces; T5's <extra_id_0> … <extra_id_99> where none are given
 * @throws FormatError when a piece is empty, twice there or too long, or when no or several are unknown; and when there
 * is no </s> or <pad>.
 */
export function unigramModel(
  where: string,
  pieces: readonly Piece[],
  charsmap: Uint8Array,
  specialTokens: ReadonlyMap<string, number> = extraIds(pieces.length),
): UnigramModel {
  if (pieces.length > MAX_PIECES) throw refused(where, `${pieces.length} pieces are more than ${MAX_PIECES}`);
  const normal = new Map<string, { id: number; score: number }>();
  const special = new Map<string, number>();
  const seen = new Set<string>();
  const unknown: number[] = [];
  for (const [id, piece] of pieces.entries()) {
    checkPiece(where, id, piece);
    const { text, score, kind } = piece;
    if (seen.has(text)) throw refused(where, `the piece ${quoted(text)} occurs twice`);
    seen.add(text);
    if (kind === 'normal') normal.set(text, { id, score: Math.fround(score) });
    if (kind === 'unknown') unknown.push(id);
    if (kind === 'unknown' || kind === 'control') special.set(text, id);
  }
  for (const [text, id] of specialTokens) special.set(text, id);
  if (special.size > MAX_SPECIAL_TOKENS) throw refused(where, `${special.size} special tokens are too many`);
  const [unknownId] = unknown;
  if (unknownId === undefined || unknown.length > 1) {
    throw refused(where, `expected one piece for the unknown, got ${unknown.length}`);
  }
  return {
    pieces: normal,
    unknownId,
    specialTokens: special,
    endId: specialId(where, special, '</s>'),
    padId: specialId(where, special, '<pad>'),
    vocabularySize: 1 + Math.max(pieces.length - 1, ...special.values()),
    charsmap,
  };
}

function checkPiece(where: string, id: number, { text, score }: Piece): void {
  if (text === '') throw refused(where, `piece ${id} is empty`);
  if (text.length > MAX_PIECE_LENGTH) throw refused(where, `piece ${id} has ${text.length} characters`);
  if (!Number.isFinite(score)) throw refused(where, `the piece ${quoted(text)} has the score ${score}`);
}

function specialId(where: string, special: ReadonlyMap<string, number>, text: string): number {
  const id = special.get(text);
  if (id === undefined) throw refused(where, `has no ${text}, which T5's tokenizers have`);
  return id;
}

function extraIds(count: number): Map<string, number> {
  return new Map(Array.from({ length: EXTRA_IDS }, (_, n) => [`<extra_id_${n}>`, count + EXTRA_IDS - 1 - n]));
}

function refused(where: string, what: string): FormatError {
  return new FormatError(`${where}: ${what}; get the tokenizer of the model's text encoder again`);
}
