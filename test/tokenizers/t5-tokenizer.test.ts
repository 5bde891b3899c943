import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckpointFolder } from '../../src/checkpoint/folder.ts';
import { nodeFolder } from '../../src/checkpoint/node-folder.ts';
import { FileError, FormatError, OptionError } from '../../src/errors.ts';
import { MAX_PROMPT_LENGTH } from '../../src/tokenizers/prompt-length.ts';
import { T5Tokenizer } from '../../src/tokenizers/t5-tokenizer.ts';
import { bytesSource } from '../checkpoint/bytes-source.ts';
import { publicFile } from '../public-files.ts';
import { readPartiPrompts, readPublicPromptReference } from '../support/prompt-reference.ts';
import { asStored, idsOf, readOddStrings, SMALL, sha256, tokenizerFile } from '../support/tokenizer-files.ts';

const { odd, long, special, sha256: expectedFiles } = readOddStrings();
const small = T5Tokenizer.fromSentencePiece('small', readFileSync(join(SMALL, 'spiece.model')));

describe.each(['small', 't5', 'emoji'] as const)('the tokenizer %s', (name) => {
  const file = tokenizerFile(name);
  if (!file) return it('is not on this machine', () => expect(name).not.toBe('small'));
  const bytes = readFileSync(file);
  const tokenizer = T5Tokenizer.fromSentencePiece(name, bytes);

  it('is the one whose ids were stored (else run test/fixtures/make_tokenizer.py and make_prompts.py)', () => {
    expect(sha256(bytes)).toBe(expectedFiles[name]);
  });

  it.each(odd)("gives SentencePiece's ids: $name", ({ text, ids }) => {
    expect(asStored(idsOf(tokenizer.encode(text)), ids[name])).toEqual(ids[name]);
  });

  it.each(long)("gives SentencePiece's ids of $length characters: $name", ({ unit, length, ids }) => {
    const text = unit.repeat(Math.floor(length / unit.length));
    expect(asStored(idsOf(tokenizer.encode(text, { maxLength: 6000 })), ids[name])).toEqual(ids[name]);
  });

  it.each(special)('takes tokens that are written in the text as transformers does: $text', ({ text, ids }) => {
    expect(asStored(idsOf(tokenizer.encode(text)), ids[name])).toEqual(ids[name]);
  });

  it("gives SentencePiece's ids of the public prompts", () => {
    const prompts = publicFile('prompts/PartiPrompts.tsv', `ids of ${name} for the PartiPrompts`);
    const stored = name === 'small' ? undefined : readPublicPromptReference()[name];
    if (!prompts || !stored) return;
    const hashes = readPartiPrompts(prompts).map((prompt) =>
      sha256(idsOf(tokenizer.encode(prompt, { maxLength: 300 })).join()).slice(0, 8),
    );
    expect(hashes).toHaveLength(1632);
    expect(hashes).toEqual(stored.split(' '));
  });
});

describe('T5Tokenizer.encode', () => {
  it('pads to 120, with a mask', () => {
    const { inputIds, attentionMask, truncated } = small.encode('a red cat');
    expect([inputIds.length, attentionMask.length, truncated]).toEqual([120, 120, undefined]);
    expect(idsOf(small.encode('a red cat'))).toEqual([8, 34, 3, 29, 43, 1]);
    expect([...inputIds.subarray(6)]).toEqual(new Array(114).fill(0));
    expect([...attentionMask]).toEqual([...new Array(6).fill(1), ...new Array(114).fill(0)]);
  });

  it('an empty prompt is </s> alone', () => {
    const { inputIds, attentionMask, truncated } = small.encode('', { maxLength: 4 });
    expect([[...inputIds], [...attentionMask], truncated]).toEqual([[1, 0, 0, 0], [1, 0, 0, 0], undefined]);
  });

  it('cuts what does not fit, keeps </s>, and says what was cut', () => {
    const whole = [8, 34, 3, 29, 43, 1];
    const at = (maxLength: number) => small.encode('a red cat', { maxLength });
    expect([...at(7).inputIds]).toEqual([...whole, 0]);
    expect(at(6)).toEqual({
      inputIds: Int32Array.from(whole),
      attentionMask: new Int32Array(6).fill(1),
      truncated: undefined,
    });
    expect([...at(5).inputIds]).toEqual([8, 34, 3, 29, 1]);
    expect([5, 4, 3, 2, 1].map((maxLength) => at(maxLength).truncated)).toEqual([
      'cat',
      'd cat',
      'ed cat',
      'red cat',
      'a red cat',
    ]);
    expect([...at(1).inputIds]).toEqual([1]);
  });

  it('says what was cut in the words of the prompt, also where the tokenizer has none for it', () => {
    expect(small.encode('a red 猫 </s>  cat', { maxLength: 5 }).truncated).toBe('猫</s> cat');
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses maxLength %d', (maxLength) => {
    expect(() => small.encode('a', { maxLength })).toThrow(
      new OptionError(`maxLength: expected a positive whole number, got ${maxLength}`),
    );
  });

  it('refuses a prompt that is far too long, and what is no text', () => {
    expect(() => small.encode('a'.repeat(MAX_PROMPT_LENGTH))).not.toThrow();
    expect(() => small.encode('a'.repeat(MAX_PROMPT_LENGTH + 1))).toThrow(
      /^prompt: expected at most 10000 characters, got 10001; shorten it/,
    );
    expect(() => small.encode(undefined as unknown as string)).toThrow(
      new OptionError('prompt: expected a text, got undefined'),
    );
  });

  it('has ids below the size of its vocabulary', () => {
    expect(small.vocabularySize).toBe(155);
    expect(idsOf(small.encode('<extra_id_0> cat'))[0]).toBe(154);
  });
});

describe('T5Tokenizer.fromFolder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'delta-dit-tokenizer-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const open = () => T5Tokenizer.fromFolder(nodeFolder(folder));

  it.each(['spiece.model', 'tokenizer.json'])('reads %s where it is alone', async (file) => {
    await copyFile(join(SMALL, file), join(folder, file));
    expect((await open()).encode('a red cat')).toEqual(small.encode('a red cat'));
  });

  it('takes spiece.model where there are both', async () => {
    await copyFile(join(SMALL, 'spiece.model'), join(folder, 'spiece.model'));
    await writeFile(join(folder, 'tokenizer.json'), 'not read');
    expect((await open()).vocabularySize).toBe(155);
  });

  it('says which files are missing and where they are to be had', async () => {
    await expect(open()).rejects.toThrow(FileError);
    await expect(open()).rejects.toThrow(
      /: expected spiece\.model or tokenizer\.json, got neither; copy them from .*PixArt-alpha\/PixArt-XL-2-512x512, or google\/t5-v1_1-xxl/,
    );
  });

  it('names the file that is damaged', async () => {
    await writeFile(join(folder, 'spiece.model'), 'version https://git-lfs.github.com/spec/v1');
    await expect(open()).rejects.toThrow(FormatError);
    await expect(open()).rejects.toThrow(join(folder, 'spiece.model'));
  });

  it('closes what it opens, and reads no file that is too large', async () => {
    const sources: ReturnType<typeof bytesSource>[] = [];
    const inMemory = (bytes: Uint8Array, size = bytes.length): CheckpointFolder => ({
      name: 'memory',
      has: async (file) => file === 'spiece.model',
      open: async () => {
        const source = { ...bytesSource(bytes), size };
        sources.push(source);
        const close = source.close;
        return Object.assign(source, {
          close: async () => {
            source.closed = true;
            await close();
          },
        });
      },
      at: () => inMemory(bytes),
    });
    await expect(T5Tokenizer.fromFolder(inMemory(readFileSync(join(SMALL, 'spiece.model'))))).resolves.toBeDefined();
    await expect(T5Tokenizer.fromFolder(inMemory(new Uint8Array(3)))).rejects.toThrow(FormatError);
    await expect(T5Tokenizer.fromFolder(inMemory(new Uint8Array(3), 2 ** 40))).rejects.toThrow(
      /bytes are too many for a tokenizer/,
    );
    expect(sources.map(({ closed }) => closed)).toEqual([true, true, true]);
  });
});
