import { OptionError } from '../../src/errors.ts';
import { cleanPrompt, preparePrompt } from '../../src/tokenizers/clean-prompt.ts';
import { MAX_PROMPT_LENGTH } from '../../src/tokenizers/prompt-length.ts';
import { seededIntegers } from '../checkpoint/mutations.ts';
import { publicFile } from '../public-files.ts';
import { readPartiPrompts, readPromptReference, readPublicPromptReference } from '../support/prompt-reference.ts';
import { sha256 } from '../support/tokenizer-files.ts';

const { clean } = readPromptReference();

describe('cleanPrompt', () => {
  it.each(clean)("equals one pass of diffusers': %j", (prompt, once) => {
    expect(cleanPrompt(prompt)).toBe(once);
  });
});

describe('preparePrompt', () => {
  it.each(clean)('cleans twice, as diffusers does: %j', (prompt, _, twice) => {
    expect(preparePrompt(prompt)).toBe(twice);
    expect(preparePrompt(prompt, { clean: true })).toBe(twice);
  });

  it("equals diffusers' on the public prompts", () => {
    const file = publicFile('prompts/PartiPrompts.tsv', "cleaning of the PartiPrompts equals diffusers'");
    if (!file) return;
    const hashes = readPartiPrompts(file).map((prompt) => sha256(preparePrompt(prompt)).slice(0, 8));
    expect(hashes).toHaveLength(1632);
    expect(hashes).toEqual(readPublicPromptReference().clean.split(' '));
  });

  it('without cleaning makes letters small and takes outer white space away, no more', () => {
    expect(preparePrompt('\x1f A <b>Cat</b>+%41 #1 İ\u3000', { clean: false })).toBe('a <b>cat</b>+%41 #1 i̇');
  });

  it('refuses a prompt that is far too long', () => {
    expect(preparePrompt('a '.repeat(MAX_PROMPT_LENGTH / 2))).toHaveLength(MAX_PROMPT_LENGTH - 1);
    for (const options of [{}, { clean: false }]) {
      expect(() => preparePrompt('a'.repeat(MAX_PROMPT_LENGTH + 1), options)).toThrow(OptionError);
    }
  });

  it('makes something of any characters', () => {
    const integer = seededIntegers(7);
    const starts = [0, 0x20, 0x80, 0x300, 0x2000, 0x3000, 0xd7f0, 0xfff0];
    for (let i = 0; i < 3000; i++) {
      const codes = Array.from({ length: integer(30) }, () => starts[integer(starts.length)]! + integer(0x60));
      const markup = ['<', '<![', '<!--', '&#', '</', '%', '&amp', '<script>', '"', '.png'][integer(10)]!;
      expect(typeof preparePrompt(`${String.fromCharCode(...codes)}${markup}${i}`)).toBe('string');
    }
  });
});
