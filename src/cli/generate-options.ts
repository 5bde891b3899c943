import { type Command, Option } from 'commander';
import { SAMPLER_NAMES, type SamplerName } from '../index.ts';
import { appended, finiteNumber, timestepsOption, wholeNumber } from './arguments.ts';
import { CACHE_NAMES } from './cache-options.ts';
import { type PainterOptions, withPromptOptions } from './open-painter.ts';

/** What says how a picture comes out, so that a picture's own settings may say it, too. */
export interface PictureOptions extends PainterOptions {
  readonly class?: readonly string[];
  readonly prompt?: readonly string[];
  readonly promptFile?: string;
  readonly embeds?: string;
  readonly ar?: string;
  readonly seed?: readonly number[];
  readonly count?: number;
  readonly steps?: number;
  readonly timesteps?: readonly number[];
  readonly cfgScale?: number;
  readonly guidanceScale?: number;
  readonly sampler?: SamplerName;
  readonly eta?: number;
  readonly cache?: string;
  readonly cacheOption?: readonly string[];
  readonly compare?: boolean;
  readonly batchSize?: number;
}

/** What `generate` takes. */
export interface GenerateOptions extends PictureOptions {
  readonly fromImage?: string;
  readonly saveEmbeds?: string;
  /** Default: out.png, for a file of prompts out-{index}.png. */
  readonly output?: string;
  readonly force?: boolean;
  readonly metadata: boolean;
  readonly previewEvery?: number;
  readonly json?: boolean;
  readonly explain?: boolean;
}

export function withGenerateOptions(command: Command): Command {
  return withOutputOptions(withSamplingOptions(withSubjectOptions(command)));
}

function withSubjectOptions(command: Command): Command {
  command
    .option('--class <name>', 'of a DiT: class by name or number; may be given several times', appended)
    .option('-p, --prompt <text>', 'of a PixArt: what to paint; may be given several times', appended)
    .option('--prompt-file <file>', 'prompts, one a line, each a picture of its own; one that fails stops no other')
    .option('--embeds <file>', 'prompts that --save-embeds has saved, instead of text');
  return withPromptOptions(command).option(
    '--ar <h:w>',
    'shape, of which the model’s nearest size is taken; a prompt may end in --ar, --aspect_ratio or --hw h:w of its own',
  );
}

function withSamplingOptions(command: Command): Command {
  return command
    .option('-s, --seed <n>', 'noise of a picture of each subject; several make several; −1 is random (default)', seeds)
    .option('--count <n>', 'pictures of each subject and --seed, with seeds counting up (default: 1)', wholeNumber)
    .option('--steps <n>', 'sampling steps (default: the checkpoint’s, else 50, for prompts 20)', wholeNumber)
    .addOption(timestepsOption())
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, for prompts 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .addOption(
      new Option(
        '--sampler <name>',
        'default: the checkpoint’s, else ddim; ddpm-original is the DiT demo’s, dpm-solver++ PixArt’s',
      ).choices([...SAMPLER_NAMES]),
    )
    .option('--eta <x>', 'noise that ddim and ddim-original add, 0 to 1 (default: 0)', finiteNumber)
    .option(
      '--cache <method>',
      `none, auto (the checkpoint’s own plan), ${CACHE_NAMES.join(', ')}, or a file of "tune", "calibrate", SmoothCache, ECAD, Learning-to-Cache or HarmoniCa`,
    )
    .option(
      '--cache-option <k=v,…>',
      'of the method, such as interval=2,cachedBlocks=21,stageBound=12 or budget=0.625',
      appended,
    )
    .option('--batch-size <n>', 'pictures that run through the model together (default: 8)', wholeNumber)
    .option('--compare', 'uncached and cached side by side, with PSNR, SSIM and both times')
    .option('--no-compare', 'of a --from-image that compares, only the cached pictures');
}

function withOutputOptions(command: Command): Command {
  return command
    .option('--from-image <png>', 'the settings in a picture; options beside it override them')
    .option(
      '-o, --output <file>',
      'PNG or JPEG file: one with all pictures, or, with {seed}, {index}, {class} or {prompt} in its name, one for each; - is stdout (default: out.png, with --prompt-file out-{index}.png)',
    )
    .option('--save-embeds <file>', 'keep the encoded prompts in a safetensors file, for --embeds')
    .option('--force', 'replace files that exist')
    .option('--no-metadata', 'leave the settings out of the PNG')
    .option('--preview-every <n>', 'show the picture as it is seen every n steps, in <output>.preview.png', wholeNumber)
    .option('--json', 'print files, settings, times and MACs as JSON on stdout')
    .option('--explain', 'print the plan of steps × blocks and its MACs; make nothing');
}

function seeds(text: string, before?: readonly number[]): readonly number[] {
  return [...(before ?? []), wholeNumber(text)];
}
