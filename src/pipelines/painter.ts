import { OptionError } from '../errors.ts';
import type { DiTPipeline, DiTResult } from './dit-pipeline.ts';
import type { PixArtGenerateOptions } from './pixart-options.ts';
import type { PixArtPipeline, PixArtResult } from './pixart-pipeline.ts';
import type { DiTRunDescription, PixArtRunDescription } from './report.ts';
import type { RunOptions } from './run-options.ts';

/** Of a run; the size only where the pipeline paints more than one. */
export interface PaintOptions extends RunOptions, Pick<PixArtGenerateOptions, 'width' | 'height'> {}

/** Of `prepare`: whether runs are guided, how far encoding is, and what stops it. */
export type PrepareOptions = Pick<PixArtGenerateOptions, 'guidanceScale' | 'onLayer' | 'signal'>;

/**
 * A pipeline for code that does not mind what pictures are of. Each has a subject: to a DiT the name or the number of a
 * class, to a PixArt a prompt.
 */
export interface Painter {
  readonly pipe: DiTPipeline | PixArtPipeline;
  /** All that there are, where they can be counted: the classes by number. Empty of a PixArt. */
  readonly allSubjects: readonly string[];
  /** As the pipeline's `describe`. */
  describe(subjects: readonly string[], options: PaintOptions): Promise<DiTRunDescription | PixArtRunDescription>;
  /**
   * Does ahead of all runs of these subjects what each would begin with: encodes prompts (see
   * `PixArtPipeline.encodeAhead`).
   */
  prepare(subjects: readonly string[], options: PrepareOptions): Promise<void>;
  /** As the pipeline's `generate`: a picture a subject. */
  paint(subjects: readonly string[], options: PaintOptions): Promise<DiTResult | PixArtResult>;
}

/** Subjects are classes. */
export function classPainter(pipe: DiTPipeline): Painter {
  const taken = (subjects: readonly string[], { width, height, ...options }: PaintOptions) => {
    if (width !== undefined || height !== undefined)
      throw new OptionError(`width and height: ${pipe.name} is a DiT, which paints one size; leave them out`);
    return { ...options, classLabels: subjects };
  };
  return {
    pipe,
    allSubjects: Array.from({ length: pipe.transformer.config.numClasses }, (_, i) => String(i)),
    prepare: async () => {},
    describe: async (subjects, options) => pipe.describe(taken(subjects, options)),
    paint: async (subjects, options) => pipe.generate(taken(subjects, options)),
  };
}

/** What all prompts of a painter share. */
export type PromptSettings = Pick<
  PixArtGenerateOptions,
  'negativePrompt' | 'cleanPrompt' | 'useResolutionBinning' | 'width' | 'height'
>;

/** Subjects are prompts. @param settings of all of them, unless `paint` says otherwise */
export function promptPainter(pipe: PixArtPipeline, settings: PromptSettings = {}): Painter {
  const taken = (prompt: readonly string[], options: PaintOptions) => {
    const { width = settings.width, height = settings.height } = options;
    return { ...settings, ...options, width, height, prompt };
  };
  return {
    pipe,
    allSubjects: [],
    prepare: (subjects, options) => pipe.encodeAhead(taken(subjects, options)),
    describe: (subjects, options) => pipe.describe(taken(subjects, options)),
    paint: (subjects, options) => pipe.generate(taken(subjects, options)),
  };
}
