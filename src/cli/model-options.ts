import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import {
  BACKEND_NAMES,
  type BackendName,
  DiTPipeline,
  FileError,
  type Numerics,
  type OpenOptions,
  useBackend,
} from '../index.ts';
import { finiteNumber, wholeNumber } from './arguments.ts';
import { packageFolder } from './package-folder.ts';

/** The model that is shipped. */
const DEFAULT_MODEL = 'dit-emoji';

export interface LayoutOptions extends OpenOptions {
  readonly numerics?: Numerics;
}

export interface ModelOptions extends LayoutOptions {
  readonly model: string;
  readonly backend?: BackendName;
  readonly gpu?: boolean;
  readonly quiet?: boolean;
}

/** What a weights file does not say of itself. */
export function withLayoutOptions(command: Command): Command {
  return command
    .option('--vae <path>', 'AutoencoderKL, a diffusers folder or a weights file, for weights that carry none')
    .option(
      '--vae-scaling-factor <x>',
      'latent scale of that autoencoder (default: its config’s, else 0.18215)',
      finiteNumber,
    )
    .option('--vae-norm-groups <n>', 'groups of its norms (default: its config’s, else 32)', wholeNumber)
    .option('--labels <file>', 'class names: a JSON list, id2label, or one a line')
    .option('--num-heads <n>', 'attention heads, where the width is none of the paper’s', wholeNumber)
    .option('--input-size <n>', 'latent height and width, where the file has no position table', wholeNumber)
    .option('--key <name>', 'where a torch file keeps its weights (default: ema, state_dict, model)')
    .addOption(
      new Option('--numerics <origin>', 'whose arithmetic to reproduce (default: by origin)').choices([
        'original',
        'diffusers',
      ]),
    );
}

export function withModelOptions(command: Command): Command {
  command.option('-m, --model <name>', 'checkpoint folder, weights file, or the name of a shipped one', DEFAULT_MODEL);
  return withLayoutOptions(command)
    .addOption(new Option('--backend <name>', 'default: the first that is there').choices([...BACKEND_NAMES]))
    .option('--gpu', 'accept only a TensorFlow that runs on a GPU')
    .option('-q, --quiet', 'print errors only');
}

/** Starts the backend, says which, and loads the model. */
export async function openPipeline(options: ModelOptions): Promise<DiTPipeline> {
  const path = modelPath(options.model);
  const backend = await useBackend(options.backend, { ...(options.gpu ? { gpu: true } : {}) });
  if (!options.quiet) {
    console.error(`Backend: ${backend.description}`);
    const faster = backend.absent[0];
    if (faster && !options.backend) {
      console.error(
        `Without ${faster.name}, which is faster: ${faster.reason}${faster.command ? `; run ${faster.command}` : ''}`,
      );
    }
  }
  return DiTPipeline.fromPretrained(path, options);
}

/** A path as it is, or a checkpoint by name from ./checkpoints or from this package. */
export function modelPath(model: string): string {
  const places = [model, join('checkpoints', model), join(packageFolder(), 'checkpoints', model)];
  const found = places.find((path) => existsSync(path));
  if (!found)
    throw new FileError(
      `--model ${model}: no such file or folder, and no checkpoint of that name; looked at ${places.join(', ')}`,
    );
  return found;
}
