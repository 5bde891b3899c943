import type { Command } from 'commander';
import {
  classPainter,
  DiTPipeline,
  type OpenedCheckpoint,
  OptionError,
  openCheckpoint,
  type Painter,
  PixArtPipeline,
  type PromptSettings,
  promptPainter,
  type SubjectKind,
  type WantedPart,
} from '../index.ts';
import { wholeNumber } from './arguments.ts';
import { findModelAndParts } from './find-model.ts';
import { checkMemory, type MemoryRequest, memoryLimits, weightCopies } from './memory-check.ts';
import { DEFAULT_MODEL, type ModelOptions, PROMPT_MODEL, refuseUnreadLayout, startBackend } from './model-options.ts';

/** Of a text-to-image model alone. */
export interface PromptOptions extends Pick<PromptSettings, 'width' | 'height' | 'cleanPrompt'> {
  readonly negativePrompt?: string;
}

export interface PainterOptions extends ModelOptions, PromptOptions {
  /** Parts of a model of the hub that are not needed, and not downloaded. */
  readonly without?: readonly WantedPart[];
}

export function withPromptOptions(command: Command): Command {
  return command
    .option('-n, --negative-prompt <text>', 'of a PixArt: what pictures should not show')
    .option('-W, --width <px>', 'of the pictures of a PixArt (default: what it was trained on)', wholeNumber)
    .option('-H, --height <px>', 'of the pictures of a PixArt (default: what it was trained on)', wholeNumber)
    .option('--no-clean-prompt', 'encode prompts as they are, in small letters');
}

/** The model that is meant where none is named. */
export function modelName({ model }: Pick<ModelOptions, 'model'>, kind: SubjectKind): string {
  return model ?? (kind === 'prompt' ? PROMPT_MODEL : DEFAULT_MODEL);
}

/**
 * Starts the backend, says which, and loads the model.
 * @param kind of subjects that it must take
 * @param request what it is for; default: one picture at a time, under guidance
 * @throws OptionError when the model paints other subjects; BackendError when what it is for is estimated not to fit in
 * memory; both before weights are read
 */
export async function openPainter(
  options: PainterOptions,
  kind: SubjectKind,
  request: MemoryRequest = { pictures: 1, guided: true, dtype: options.dtype },
): Promise<Painter> {
  const found = await findModelAndParts(modelName(options, kind), options);
  refuseUnreadLayout(found.path, options);
  const backend = await startBackend(options);
  const checkpoint = await openCheckpoint(found.path, found.options);
  try {
    checkSubjects(checkpoint, kind, options);
    if (!options.forceMemory) await checkMemory(checkpoint, request, memoryLimits(backend), weightCopies(backend));
    return checkpoint.pipeline === 'DiTPipeline'
      ? classPainter(await DiTPipeline.fromCheckpoint(checkpoint, options))
      : promptPainter(await PixArtPipeline.fromCheckpoint(checkpoint, options), promptSettings(options));
  } finally {
    await checkpoint.close();
  }
}

function promptSettings({ negativePrompt, width, height, cleanPrompt }: PromptOptions): PromptSettings {
  return { negativePrompt, width, height, cleanPrompt };
}

/** @throws OptionError for a model that paints something else than it is asked to. */
export function checkSubjects({ pipeline, name }: OpenedCheckpoint, kind: SubjectKind, options: PromptOptions): void {
  if (pipeline === 'PixArtPipeline') {
    if (kind === 'class') throw new OptionError(`--class: ${name} is a PixArt, which paints prompts; give --prompt`);
    return;
  }
  if (kind === 'prompt') {
    throw new OptionError(
      `--prompt: ${name} is a DiT, which paints classes; give --class ("delta-dit inspect" lists them)`,
    );
  }
  const { negativePrompt, width, height, cleanPrompt } = options;
  const given = {
    '--negative-prompt': negativePrompt,
    '--width': width,
    '--height': height,
    '--no-clean-prompt': cleanPrompt === false ? true : undefined,
  };
  const [flag] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (flag) throw new OptionError(`${flag}: ${name} is a DiT, which paints classes in one size; leave it out`);
}
