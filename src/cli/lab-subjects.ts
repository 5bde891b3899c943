import type { Command } from 'commander';
import { OptionError, type ReportedRun, type SubjectKind } from '../index.ts';
import { appended } from './arguments.ts';
import { type PainterOptions, withPromptOptions } from './open-painter.ts';
import { readPromptFile } from './prompt-file.ts';

/** What measurements take, of either pipeline. */
export interface LabSubjectOptions extends PainterOptions {
  readonly class?: readonly string[];
  readonly prompt?: readonly string[];
  readonly promptFile?: string;
}

/** @param classes what classes are for */
export function withLabSubjects(command: Command, classes: string): Command {
  command
    .option('--class <name>', `of a DiT: ${classes}; may be given several times`, appended)
    .option('-p, --prompt <text>', 'of a PixArt: what to paint; may be given several times', appended)
    .option('--prompt-file <file>', 'prompts, one a line; blank lines and lines that begin with # are skipped');
  return withPromptOptions(command);
}

export interface LabSubjects {
  readonly kind: SubjectKind;
  /** Undefined where none is named. */
  readonly subjects: readonly string[] | undefined;
}

/** @throws OptionError for classes and prompts at once; FileError or FormatError for a file of prompts */
export async function labSubjects(options: LabSubjectOptions): Promise<LabSubjects> {
  const { class: classes, prompt = [], promptFile } = options;
  const hasPrompts = prompt.length > 0 || promptFile !== undefined;
  if (!hasPrompts) return { kind: 'class', subjects: classes };
  if (classes)
    throw new OptionError('--class and --prompt: expected classes of a DiT or prompts for a PixArt, got both');
  const lines = promptFile === undefined ? [] : await readPromptFile(promptFile);
  return { kind: 'prompt', subjects: [...prompt, ...lines] };
}

/** On stderr. */
export function warnOfTruncation({ truncated = [] }: ReportedRun, { quiet }: LabSubjectOptions): void {
  if (quiet) return;
  for (const end of truncated)
    console.error(`warning: a prompt is too long: the model does not see ${JSON.stringify(end)}`);
}
