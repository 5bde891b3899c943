import { UnigramSegmenter } from '../../src/tokenizers/unigram.ts';
import { type Piece, unigramModel } from '../../src/tokenizers/unigram-model.ts';

/** A segmenter of these pieces, whose ids start at 3. */
function segmenter(pieces: Readonly<Record<string, number>>): UnigramSegmenter {
  const special: Piece[] = [
    { text: '<pad>', score: 0, kind: 'control' },
    { text: '</s>', score: 0, kind: 'control' },
    { text: '<unk>', score: 0, kind: 'unknown' },
  ];
  const normal = Object.entries(pieces).map(([text, score]): Piece => ({ text, score, kind: 'normal' }));
  return new UnigramSegmenter(unigramModel('test', [...special, ...normal], new Uint8Array(0)));
}
const cut = (pieces: Readonly<Record<string, number>>, text: string) =>
  segmenter(pieces)
    .segment(text)
    .map(({ text: piece }) => piece);

describe('UnigramSegmenter', () => {
  it('takes the pieces of greatest total score', () => {
    expect(cut({ a: -1, b: -1, ab: -1.5 }, 'abab')).toEqual(['ab', 'ab']);
    expect(cut({ a: -1, b: -1, ab: -2.5 }, 'abab')).toEqual(['a', 'b', 'a', 'b']);
    expect(cut({ a: -1, b: -1, ab: -1.5, bab: -1.2 }, 'abab')).toEqual(['a', 'bab']);
    expect(cut({ a: -1 }, '')).toEqual([]);
  });

  it('keeps the first way to a place where others are as good', () => {
    expect(cut({ x: -1, xx: -2 }, 'xxx')).toEqual(['x', 'xx']);
  });

  it('adds scores in single precision, as SentencePiece does', () => {
    // x and y cost half of xy; after p, where float32 knows no halves, all is free and the first way is kept
    const pieces = { p: -(2 ** 24), xy: -1, x: -0.25, y: -0.25 };
    expect(cut(pieces, 'xy')).toEqual(['x', 'y']);
    expect(cut(pieces, 'pxy')).toEqual(['p', 'xy']);
  });

  it('joins unknown characters, of which each costs more than any piece', () => {
    const model = segmenter({ a: -1, b: -4, bb: -30 });
    expect(model.segment('a??b\u{1F319}?')).toEqual([
      { id: 3, text: 'a' },
      { id: 2, text: '??' },
      { id: 4, text: 'b' },
      { id: 2, text: '\u{1F319}?' },
    ]);
    // a character that only longer pieces have is unknown by itself, at −30 − 10
    expect(cut({ ab: -30, a: -1 }, 'ab')).toEqual(['ab']);
    expect(cut({ ab: -45, a: -1, c: -1 }, 'ab')).toEqual(['ab']);
  });

  it('steps by character, not by code unit', () => {
    expect(cut({ '😀': -1, '😀😁': -1.5, '😁': -1 }, '😀😁😀')).toEqual(['😀😁', '😀']);
  });
});
