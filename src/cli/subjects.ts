import { fileSource } from '../checkpoint/file-source.ts';
import { OptionError, preparePrompt, readPromptTexts, type SubjectKind } from '../index.ts';
import type { PictureOptions } from './generate-options.ts';
import { readPromptFile } from './prompt-file.ts';
import { parseSize, readSwitches, type WantedSize } from './prompt-switches.ts';

/** What a picture is of. */
export interface Subject {
  /** As it was given. */
  readonly given: string;
  /** What the model is told: a class, or a prompt without its switches. */
  readonly text: string;
  /** Its own, where a prompt states one. */
  readonly size: WantedSize | undefined;
  /** Its place among all that were given, from 0 on. */
  readonly place: number;
}

/** A subject that no picture can be made of. */
export interface Refused {
  readonly given: string;
  readonly reason: string;
}

/** All that a run is asked to make pictures of. */
export interface Subjects {
  readonly kind: SubjectKind;
  readonly all: readonly Subject[];
  /** Lines of a file of prompts that are left out. */
  readonly refused: readonly Refused[];
  /** Subjects that were given. */
  readonly count: number;
  /** The negative prompt that encoded prompts were saved with. */
  readonly savedNegative?: string | undefined;
}

/** @throws OptionError unless classes or prompts are given, not both, or for a prompt that says nothing; FileError */
export async function subjectsOf(options: PictureOptions): Promise<Subjects> {
  const { class: classes, prompt = [], promptFile, embeds } = options;
  const ofPrompts = { '--prompt': prompt[0], '--prompt-file': promptFile, '--embeds': embeds };
  const flags = Object.entries(ofPrompts).flatMap(([flag, value]) => (value === undefined ? [] : [flag]));
  if (classes && flags.length > 0) throw new OptionError(`--class and ${flags[0]}: expected one of the two`);
  if (promptFile !== undefined && embeds !== undefined)
    throw new OptionError('--prompt-file and --embeds: expected one of the two');
  if (classes) return whole('class', classes);
  if (embeds !== undefined) {
    const { prompts, negativePrompt } = await readPromptTexts(await fileSource(embeds));
    return { ...whole('prompt', picked(embeds, prompts, prompt)), savedNegative: negativePrompt };
  }
  const lines = promptFile === undefined ? [] : await readPromptFile(promptFile);
  if (prompt.length + lines.length > 0) return promptsOf(prompt, lines, options);
  throw new OptionError(
    '--class or --prompt: expected a class of a DiT ("delta-dit inspect" lists them), or a prompt for a PixArt',
  );
}

/** Taken as they are given. */
function whole(kind: SubjectKind, texts: readonly string[]): Subjects {
  const all = texts.map((text, place) => ({ given: text, text, size: undefined, place }));
  return { kind, all, refused: [], count: all.length };
}

/** @param wanted of the file's prompts; all where it is empty */
function picked(path: string, prompts: readonly string[], wanted: readonly string[]): readonly string[] {
  const missing = wanted.find((prompt) => !prompts.includes(prompt));
  if (missing !== undefined) {
    const held = prompts.slice(0, LISTED).map((text) => JSON.stringify(shortened(text)));
    const more = prompts.length > LISTED ? `, … (${prompts.length})` : '';
    throw new OptionError(
      `--prompt ${JSON.stringify(shortened(missing))}: ${path} does not hold it; it holds ${held.join(', ')}${more}`,
    );
  }
  return wanted.length > 0 ? wanted : prompts;
}

const LISTED = 5;

/** @param prompts each must do @param lines of which those that will not do are left out */
function promptsOf(
  prompts: readonly string[],
  lines: readonly string[],
  { ar, cleanPrompt }: PictureOptions,
): Subjects {
  const common = ar === undefined ? undefined : parseSize('--ar', ar, 'shape');
  const refused: Refused[] = [];
  const all = [...prompts, ...lines].flatMap((given, place): Subject[] => {
    try {
      const { prompt: text, size = common } = readSwitches(given);
      if (preparePrompt(text, { clean: cleanPrompt }) === '')
        throw new OptionError('the prompt says nothing, or nothing that is left after cleaning (--no-clean-prompt)');
      return [{ given, text, size, place }];
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      if (place < prompts.length)
        throw new OptionError(`--prompt ${JSON.stringify(shortened(given))}: ${error.message}`);
      refused.push({ given, reason: error.message });
      return [];
    }
  });
  if (all.length === 0)
    throw new OptionError(`--prompt-file: no prompt in it will do; the first: ${refused[0]?.reason}`);
  return { kind: 'prompt', all, refused, count: prompts.length + lines.length };
}

const SHOWN = 60;

/** A text for a message. */
export function shortened(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN - 1)}…` : text;
}
