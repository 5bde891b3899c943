import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What goes in, and what comes out. */
export type Pair = readonly [input: string, output: string];

/** What Python makes of strings; written by test/fixtures/make_prompts.py. */
export interface PromptReference {
  readonly unquote: Pair[];
  readonly unescape: Pair[];
  readonly html: Pair[];
  readonly ftfy: Pair[];
  /** After one pass and after two. */
  readonly clean: (readonly [input: string, once: string, twice: string])[];
}

/** Hashes, one a prompt, of the public PartiPrompts. */
export interface PublicPromptReference {
  readonly clean: string;
  readonly t5: string;
  readonly emoji: string;
}

const read = (file: string) => JSON.parse(readFileSync(join(__dirname, '../fixtures', file), 'utf8'));

export const readPromptReference = () => read('prompts.json') as PromptReference;
export const readPublicPromptReference = () => read('public-prompts.json') as PublicPromptReference;

/** The prompts of the public file. */
export function readPartiPrompts(file: string): string[] {
  const [, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.split('\t')[0]!);
}
