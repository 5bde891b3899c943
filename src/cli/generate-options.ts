import { type Command, Option } from 'commander';
import { SAMPLER_NAMES, type SamplerName } from '../index.ts';
import { appended, finiteNumber, wholeNumber } from './arguments.ts';
import { CACHE_NAMES } from './cache-options.ts';
import type { ModelOptions } from './model-options.ts';

/** What says how a picture comes out, so that a picture's own settings may say it, too. */
export interface PictureOptions extends ModelOptions {
  readonly class?: readonly string[];
  readonly seed?: readonly number[];
  readonly count?: number;
  readonly steps?: number;
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
  readonly output: string;
  readonly force?: boolean;
  readonly metadata: boolean;
  readonly previewEvery?: number;
  readonly json?: boolean;
  readonly explain?: boolean;
}

export function withGenerateOptions(command: Command): Command {
  return withOutputOptions(withPictureOptions(command));
}

function withPictureOptions(command: Command): Command {
  return command
    .option('--class <name>', 'class by name or number; may be given several times', appended)
    .option('-s, --seed <n>', 'noise of a picture of each class; several make several; −1 is random (default)', seeds)
    .option('--count <n>', 'pictures of each class and --seed, with seeds counting up (default: 1)', wholeNumber)
    .option('--steps <n>', 'sampling steps (default: the checkpoint’s, else 50)', wholeNumber)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .addOption(
      new Option('--sampler <name>', 'default: the checkpoint’s, else ddim; ddpm-original is the DiT demo’s').choices([
        ...SAMPLER_NAMES,
      ]),
    )
    .option('--eta <x>', 'noise that ddim and ddim-original add, 0 to 1 (default: 0)', finiteNumber)
    .option('--cache <method>', `none, ${CACHE_NAMES.join(', ')}`)
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
      'PNG or JPEG file: one with all pictures, or, with {seed}, {index} or {class} in its name, one for each; - is stdout',
      'out.png',
    )
    .option('--force', 'replace files that exist')
    .option('--no-metadata', 'leave the settings out of the PNG')
    .option('--preview-every <n>', 'show the picture as it is seen every n steps, in <output>.preview.png', wholeNumber)
    .option('--json', 'print files, settings, times and MACs as JSON on stdout')
    .option('--explain', 'print the plan of steps × blocks and its MACs; make nothing');
}

function seeds(text: string, before?: readonly number[]): readonly number[] {
  return [...(before ?? []), wholeNumber(text)];
}
