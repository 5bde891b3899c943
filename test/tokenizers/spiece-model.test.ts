import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '../../src/errors.ts';
import { parseSentencePieceModel } from '../../src/tokenizers/spiece-model.ts';
import { T5Tokenizer } from '../../src/tokenizers/t5-tokenizer.ts';
import { refusals } from '../checkpoint/mutations.ts';
import { idsOf, SMALL } from '../support/tokenizer-files.ts';
import { bytesField, doubleField, floatField, intField, message } from './protobuf-writer.ts';

const SMALL_MODEL = Uint8Array.from(readFileSync(join(SMALL, 'spiece.model')));

/** A ModelProto.SentencePiece. */
const piece = (text: string, score = 0, type?: number) =>
  bytesField(1, message(bytesField(1, text), floatField(2, score), ...(type ? [intField(3, type)] : [])));
const SPECIAL = [piece('<pad>', 0, 3), piece('</s>', 0, 3), piece('<unk>', 0, 2)];
const PIECES = [...SPECIAL, piece('▁', -2), piece('a', -1), piece('▁a', -2.5), piece('b', -4, 1)];
const trainer = (...fields: Uint8Array[]) => bytesField(2, message(...fields));
const normalizer = (...fields: Uint8Array[]) => bytesField(3, message(...fields));

const parse = (...fields: Uint8Array[]) => parseSentencePieceModel('spiece.model', message(...fields));

describe('parseSentencePieceModel', () => {
  it('reads a model that SentencePiece trained', () => {
    const model = parseSentencePieceModel('spiece.model', SMALL_MODEL);
    expect(model).toMatchObject({ unknownId: 2, endId: 1, padId: 0, vocabularySize: 155 });
    expect(model.pieces.size).toBe(52);
    expect(model.pieces.get('▁a')).toEqual({ id: 8, score: Math.fround(-3.0185365676879883) });
    expect(model.pieces.has('</s>')).toBe(false);
    expect(model.charsmap.length).toBeGreaterThan(1000);
    expect([...model.specialTokens].slice(0, 5)).toEqual([
      ['<pad>', 0],
      ['</s>', 1],
      ['<unk>', 2],
      ['<extra_id_0>', 154],
      ['<extra_id_1>', 153],
    ]);
    expect(model.specialTokens.get('<extra_id_99>')).toBe(55);
  });

  it('takes absent fields for their defaults and passes over unknown ones', () => {
    const model = parse(
      ...PIECES,
      doubleField(4),
      bytesField(5, 'denormalizer'),
      intField(77, 1),
      bytesField(2000, 'x'),
    );
    expect(model.pieces).toEqual(
      new Map([
        ['▁', { id: 3, score: -2 }],
        ['a', { id: 4, score: -1 }],
        ['▁a', { id: 5, score: -2.5 }],
        ['b', { id: 6, score: -4 }],
      ]),
    );
    expect(model.charsmap).toHaveLength(0);
    const spelt = parse(
      ...PIECES,
      trainer(intField(3, 1), intField(24, 0), intField(35, 0), intField(41, -1)),
      T5_STEPS,
    );
    expect(spelt).toEqual(model);
  });

  it('does not look for pieces that are unused or stand for themselves', () => {
    expect([...parse(...PIECES, piece('c', -1, 5), piece('<s>', 0, 3)).pieces.keys()]).toEqual(['▁', 'a', '▁a', 'b']);
  });

  it.each([
    ['BPE', trainer(intField(3, 2)), 'a model of type bpe'],
    ['words', trainer(intField(3, 3)), 'a model of type word'],
    ['characters', trainer(intField(3, 4)), 'a model of type char'],
    ['another model type', trainer(intField(3, 9)), 'a model of type 9'],
    ['byte fallback', trainer(intField(35, 1)), 'byte_fallback'],
    ['spaces behind words', trainer(intField(24, 1)), 'treat_whitespace_as_suffix'],
    ['no space in front', normalizer(intField(3, 0)), 'no add_dummy_prefix'],
    ['spaces kept', normalizer(intField(4, 0)), 'no remove_extra_whitespaces'],
    ['plain spaces', normalizer(intField(5, 0)), 'no escape_whitespaces'],
    ['bytes', piece('<0x41>', 0, 6), 'pieces of type byte'],
    ["a user's pieces", piece('<mask>', 0, 4), 'pieces of type user-defined'],
    ['an unknown type of piece', piece('x', 0, 7), 'pieces of type 7'],
  ])('names what T5 does not have: %s', (_, field, what) => {
    expect(() => parse(...PIECES, field)).toThrow(FormatError);
    expect(() => parse(...PIECES, field)).toThrow(`spiece.model: has ${what}; T5's tokenizers`);
  });

  it.each([
    ['nothing', [], 'holds no pieces'],
    ['no unknown', SPECIAL.slice(0, 2), 'expected one piece for the unknown, got 0'],
    ['two unknown', [...SPECIAL, piece('?', 0, 2)], 'expected one piece for the unknown, got 2'],
    ['no end', [SPECIAL[0]!, SPECIAL[2]!], 'has no </s>'],
    ['no padding', SPECIAL.slice(1), 'has no <pad>'],
    ['an empty piece', [...SPECIAL, piece('')], 'piece 3 is empty'],
    ['one piece twice', [...PIECES, piece('a', -9)], 'the piece "a" occurs twice'],
    ['a score without end', [...SPECIAL, piece('a', Number.NaN)], 'the piece "a" has the score NaN'],
    ['a piece without end', [...SPECIAL, piece('a'.repeat(300))], 'piece 3 has 300 characters'],
    ['nothing but special tokens', Array.from({ length: 1001 }, (_, i) => piece(`<${i}>`, 0, 3)), 'are too many'],
  ])('refuses %s', (_, pieces, why) => {
    expect(() => parse(...pieces)).toThrow(FormatError);
    expect(() => parse(...pieces)).toThrow(why);
  });
});

/** What T5's file says of its normalizer, without a map. */
const T5_STEPS = normalizer(bytesField(1, 'identity'), intField(3, 1), intField(4, 1), intField(5, 1));

describe('a damaged map of characters', () => {
  const uint32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
  const tokenizer = (charsmap: Uint8Array) =>
    T5Tokenizer.fromSentencePiece('spiece.model', message(...PIECES, normalizer(bytesField(2, charsmap))));

  it.each([
    ['no length', Uint8Array.of(1, 2)],
    ['a trie longer than the map', message(uint32(400), new Uint8Array(40))],
    ['a trie that is no whole number of units', message(uint32(6), new Uint8Array(40))],
    ['no replacements', message(uint32(8), new Uint8Array(8))],
    ['a replacement that could fill the memory', message(uint32(4, 0), new Uint8Array(300).fill(97), Uint8Array.of(0))],
  ])('is refused: %s', (_, charsmap) => {
    expect(() => tokenizer(charsmap)).toThrow(
      new FormatError('spiece.model: its map of characters (precompiled_charsmap) is damaged; get it again'),
    );
  });

  it('is refused where a text meets the damage: a replacement past the end', () => {
    // root at unit 0 leads to unit 1 ^ 0x61 for "a", whose value unit points past the end
    const units = new Array<number>(0x80).fill(0);
    units[0] = 1 << 10;
    units[1 ^ 0x61] = (1 << 10) | 0x100 | 0x61;
    units[1 ^ 0x61 ^ 1] = 0x80000000 + 5000;
    const damaged = tokenizer(message(uint32(4 * units.length, ...units), Uint8Array.of(98, 0)));
    expect(idsOf(damaged.encode('b'))).toEqual([3, 6, 1]);
    expect(() => damaged.encode('a')).toThrow(FormatError);
    units[1 ^ 0x61 ^ 1] = 0x80000000;
    expect(idsOf(tokenizer(message(uint32(4 * units.length, ...units), Uint8Array.of(98, 0))).encode('a'))).toEqual([
      3, 6, 1,
    ]);
  });
});

describe('a damaged spiece.model', () => {
  const use = (bytes: Uint8Array) =>
    T5Tokenizer.fromSentencePiece('spiece.model', bytes).encode('ﬁsh and Ångström…\u200b½ <extra_id_3>');

  it('that is cut anywhere is refused, or is a shorter model', async () => {
    let refused = 0;
    for (let length = 0; length < SMALL_MODEL.length; length += 3) {
      refused += await refusals(SMALL_MODEL.slice(0, length), 1, use);
    }
    expect(refused).toBeGreaterThan(500);
  });

  it('with bytes changed ends in an error of ours, or works', async () => {
    const refused = await refusals(SMALL_MODEL, 1500, use);
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(1500);
  });
});
