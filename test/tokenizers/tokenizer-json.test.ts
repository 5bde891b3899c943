import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '../../src/errors.ts';
import { parseSentencePieceModel } from '../../src/tokenizers/spiece-model.ts';
import { T5Tokenizer } from '../../src/tokenizers/t5-tokenizer.ts';
import { parseTokenizerJson } from '../../src/tokenizers/tokenizer-json.ts';
import { refusals } from '../checkpoint/mutations.ts';
import { SMALL } from '../support/tokenizer-files.ts';

const TEXT = readFileSync(join(SMALL, 'tokenizer.json'), 'utf8');

interface TokenizerJson {
  added_tokens: { id: number; content: string; special: boolean }[];
  normalizer: Record<string, unknown> | null;
  pre_tokenizer: Record<string, unknown> | null;
  model: { type: string; unk_id: number; vocab: [string, number][]; byte_fallback?: boolean };
}

/** The small tokenizer.json, changed. */
function changed(change: (json: TokenizerJson) => unknown): string {
  const json = JSON.parse(TEXT) as TokenizerJson;
  change(json);
  return JSON.stringify(json);
}
const parse = (text: string) => parseTokenizerJson('tokenizer.json', text);

describe('parseTokenizerJson', () => {
  it('reads the same model as from the spiece.model that it was made of', () => {
    const model = parseSentencePieceModel('spiece.model', readFileSync(join(SMALL, 'spiece.model')));
    expect(parse(TEXT)).toEqual(model);
  });

  it('reads the steps as earlier versions of transformers wrote them', () => {
    const earlier = changed((json) => {
      const { normalizer } = json;
      const spaces = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' };
      json.normalizer = { type: 'Sequence', normalizers: [normalizer, { type: 'Strip', strip_right: true }, spaces] };
      json.pre_tokenizer = { type: 'Metaspace', replacement: '▁', add_prefix_space: true };
      delete json.model.byte_fallback;
    });
    expect(parse(earlier)).toEqual(parse(TEXT));
  });

  it('without a map leaves characters as they are', () => {
    const model = parse(changed((json) => Object.assign(json, { normalizer: null })));
    expect(model.charsmap).toHaveLength(0);
    const ids = (text: string, prompt: string) => [...T5Tokenizer.fromJson('x', text).encode(prompt).inputIds];
    const unmapped = changed((json) => Object.assign(json, { normalizer: null }));
    expect(ids(TEXT, 'ﬁsh')).toEqual(ids(TEXT, 'fish'));
    expect(ids(unmapped, 'fish')).toEqual(ids(TEXT, 'fish'));
    expect(ids(unmapped, 'ﬁsh')).not.toEqual(ids(TEXT, 'fish'));
  });

  it.each<[string, (json: TokenizerJson) => unknown, RegExp]>([
    ['another model', (json) => Object.assign(json.model, { type: 'BPE' }), /model\.type/],
    ['byte fallback', (json) => Object.assign(json.model, { byte_fallback: true }), /byte_fallback/],
    ['no vocabulary', (json) => Object.assign(json.model, { vocab: [] }), /expected one piece for the unknown, got 0/],
    ['an unknown token that is not there', (json) => Object.assign(json.model, { unk_id: 9999 }), /unknown, got 0/],
    [
      'an added token that is not special',
      (json) => Object.assign(json.added_tokens[3]!, { special: false }),
      /special/,
    ],
    [
      'an added token with the id of another',
      (json) => Object.assign(json.added_tokens[0]!, { id: 20 }),
      /"<pad>" has the id of /,
    ],
    ['an id beyond int32', (json) => Object.assign(json.added_tokens[0]!, { id: 2 ** 40 }), /added_tokens\[0\]\.id/],
    ['no </s>', (json) => json.added_tokens.splice(1, 1), /has no <\/s>/],
    ['a piece twice', (json) => json.model.vocab.push(['▁a', 0]), /"▁a" occurs twice/],
    [
      'another normalizer',
      (json) => Object.assign(json, { normalizer: { type: 'NFKC' } }),
      /has the normalizer "NFKC"; T5's have/,
    ],
    [
      'another step among them',
      (json) =>
        Object.assign(json, {
          normalizer: { type: 'Sequence', normalizers: [json.normalizer, { type: 'Lowercase' }] },
        }),
      /has the normalizer "Lowercase"/,
    ],
    [
      'another pre-tokenizer',
      (json) => Object.assign(json, { pre_tokenizer: { type: 'ByteLevel' } }),
      /pre_tokenizer "ByteLevel"/,
    ],
    ['no pre-tokenizer', (json) => Object.assign(json, { pre_tokenizer: null }), /expected a pre_tokenizer Metaspace/],
    [
      'no space in front',
      (json) =>
        Object.assign(json, { pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' } }),
      /puts ▁ before each word/,
    ],
    [
      'a map that is no base64',
      (json) => Object.assign(json.normalizer!, { precompiled_charsmap: '*' }),
      /is no base64/,
    ],
    ['a map that is no text', (json) => Object.assign(json.normalizer!, { precompiled_charsmap: 7 }), /is no base64/],
  ])('refuses %s', (_, change, why) => {
    expect(() => parse(changed(change))).toThrow(FormatError);
    expect(() => parse(changed(change))).toThrow(why);
  });

  it('refuses what is no JSON object, and keys that occur twice', () => {
    for (const text of ['', '[]', '{', TEXT.slice(0, -9), TEXT.replace('"model"', '"model":0,"model"')]) {
      expect(() => parse(text)).toThrow(FormatError);
    }
  });

  it('ends damaged files in an error of ours', async () => {
    const bytes = new TextEncoder().encode(TEXT);
    const refused = await refusals(bytes, 400, (copy) => {
      T5Tokenizer.fromJson('tokenizer.json', new TextDecoder().decode(copy)).encode('ﬁsh and Ångström…');
    });
    expect(refused).toBeGreaterThan(100);
  });
});
