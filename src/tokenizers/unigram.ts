import type { UnigramModel } from './unigram-model.ts';

/** How much less likely than the least likely piece an unknown character is (google/sentencepiece kUnkPenalty). */
const UNKNOWN_PENALTY = 10;

/** A token of a text. */
export interface Token {
  readonly id: number;
  /** What of the text it stands for. */
  readonly text: string;
}

/**
 * Cuts a normalised text into the pieces of greatest total score (Viterbi), as google/sentencepiece
 * src/unigram_model.cc EncodeOptimized does. Scores are added in single precision and the first of equals is kept:
 * double precision cuts repeated letters ("sooooo") at other places.
 */
export class UnigramSegmenter {
  private readonly unknownScore: number;
  private readonly longest: number;

  constructor(private readonly model: UnigramModel) {
    let lowest = Number.POSITIVE_INFINITY;
    let longest = 1;
    for (const [text, { score }] of model.pieces) {
      lowest = Math.min(lowest, score);
      longest = Math.max(longest, [...text].length);
    }
    this.unknownScore = Math.fround((Number.isFinite(lowest) ? lowest : 0) - UNKNOWN_PENALTY);
    this.longest = longest;
  }

  segment(text: string): Token[] {
    const path = this.bestPath(text);
    const tokens: Token[] = [];
    for (let end = text.length; end > 0; ) {
      const { id, start } = path[end] ?? NOWHERE;
      tokens.push({ id, text: text.slice(start, end) });
      end = start;
    }
    return this.joinUnknown(tokens.reverse());
  }

  /** By position in the text: the last piece of the best way there. */
  private bestPath(text: string): (PathEnd | undefined)[] {
    const starts = characterStarts(text);
    const path: (PathEnd | undefined)[] = new Array(text.length + 1);
    path[0] = { id: this.model.unknownId, start: 0, score: 0 };
    for (let i = 0; i + 1 < starts.length; i++) {
      const start = starts[i] ?? 0;
      const before = path[start]?.score ?? 0;
      const offer = (end: number, id: number, pieceScore: number) => {
        const score = Math.fround(before + pieceScore);
        const best = path[end];
        if (best === undefined || score > best.score) path[end] = { id, start, score };
      };
      let single = false;
      for (let length = 1; length <= this.longest && i + length < starts.length; length++) {
        const end = starts[i + length] ?? 0;
        const piece = this.model.pieces.get(text.slice(start, end));
        if (!piece) continue;
        offer(end, piece.id, piece.score);
        if (length === 1) single = true;
      }
      if (!single) offer(starts[i + 1] ?? 0, this.model.unknownId, this.unknownScore);
    }
    return path;
  }

  /** Unknown characters that follow each other are one unknown token. */
  private joinUnknown(tokens: readonly Token[]): Token[] {
    const joined: Token[] = [];
    for (const token of tokens) {
      const last = joined.at(-1);
      if (last && last.id === this.model.unknownId && token.id === this.model.unknownId) {
        joined[joined.length - 1] = { id: last.id, text: last.text + token.text };
      } else joined.push(token);
    }
    return joined;
  }
}

interface PathEnd {
  readonly id: number;
  readonly start: number;
  readonly score: number;
}

const NOWHERE: PathEnd = { id: 0, start: 0, score: 0 };

/** Where each character starts, and the end; characters may have two code units. */
function characterStarts(text: string): number[] {
  const starts = [0];
  for (const character of text) starts.push((starts.at(-1) ?? 0) + character.length);
  return starts;
}
