import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { assertHolds, WEIGHT_DTYPES } from '../checkpoint/hold.ts';
import { MANIFEST_NAME } from '../checkpoint/manifest.ts';
import {
  BACKEND_NAMES,
  type BackendName,
  type BackendReport,
  type Numerics,
  type OpenOptions,
  type OpenPixArtOptions,
  OptionError,
  useBackend,
  type WeightDtype,
} from '../index.ts';
import { finiteNumber, wholeNumber } from './arguments.ts';

/** The model that is shipped. */
export const DEFAULT_MODEL = 'dit-emoji';

/** For prompts, where the repository is at hand. */
export const PROMPT_MODEL = 'pixart-emoji';

export interface LayoutOptions extends OpenOptions, OpenPixArtOptions {
  readonly vae?: string | undefined;
  readonly textEncoder?: string | undefined;
  readonly tokenizer?: string | undefined;
  readonly numerics?: Numerics;
}

export interface BackendCliOptions {
  readonly backend?: BackendName;
  readonly gpu?: boolean;
  readonly quiet?: boolean;
  /** Of the weights in memory. */
  readonly dtype?: WeightDtype;
}

export interface ModelOptions extends LayoutOptions, BackendCliOptions {
  /** Default: a shipped one. */
  readonly model?: string;
  readonly forceMemory?: boolean;
}

/** What a weights file does not say of its autoencoder. */
export function withAutoencoderSizes(command: Command): Command {
  return command
    .option(
      '--vae-scaling-factor <x>',
      'latent scale of that autoencoder (default: its config’s, else 0.18215)',
      finiteNumber,
    )
    .option('--vae-norm-groups <n>', 'groups of its norms (default: its config’s, else 32)', wholeNumber);
}

/** What a weights file does not say of itself. */
export function withLayoutOptions(command: Command): Command {
  command.option('--vae <path>', 'AutoencoderKL, a diffusers folder or a weights file, for weights that carry none');
  return withAutoencoderSizes(command)
    .option('--labels <file>', 'class names: a JSON list, id2label, or one a line')
    .option('--num-heads <n>', 'attention heads, where the width is none of the paper’s', wholeNumber)
    .option('--input-size <n>', 'latent height and width, where the file has no position table', wholeNumber)
    .option(
      '--interpolation-scale <x>',
      'positions of a PixArt-α weights file (default: 2 at 1024 pixels, 1 below)',
      finiteNumber,
    )
    .option('--text-encoder <folder>', 'T5 of a PixArt-α, for weights that carry none (config.json and its shards)')
    .option(
      '--tokenizer <folder>',
      'its spiece.model or tokenizer.json (default: the checkpoint’s, else the T5’s folder)',
    )
    .option('--key <name>', 'where a torch file keeps its weights (default: ema, state_dict, model)')
    .addOption(
      new Option('--numerics <origin>', 'whose arithmetic to reproduce (default: by origin)').choices([
        'original',
        'diffusers',
      ]),
    );
}

export function withModelOptions(command: Command): Command {
  command.option(
    '-m, --model <name>',
    `checkpoint folder, weights file, owner/name of a model on the Hugging Face hub, or the name of a shipped one (default: ${DEFAULT_MODEL}; for prompts ${PROMPT_MODEL})`,
  );
  return withDtypeOption(withBackendOptions(withLayoutOptions(command))).option(
    '--force-memory',
    'load a model that is estimated not to fit in memory',
  );
}

export function withDtypeOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--dtype <type>',
      'weights in memory: bfloat16 takes half of it, on tensorflow (CPU) and webgpu, float16 too, on webgpu (default: float32; with AMX bfloat16)',
    ).choices(WEIGHT_DTYPES),
  );
}

export function withBackendOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--backend <name>', 'default: the first that is there of tensorflow, wasm and cpu').choices([
        ...BACKEND_NAMES,
      ]),
    )
    .option('--gpu', 'accept only a backend that runs on a GPU, by default tensorflow')
    .option('-q, --quiet', 'print errors only');
}

/** Options of weights files, for what a folder says of itself. */
const FOR_FILES: LayoutFlags = {
  numHeads: '--num-heads',
  inputSize: '--input-size',
  interpolationScale: '--interpolation-scale',
  key: '--key',
};
/** Options of weights files and diffusers folders; a converted folder has its autoencoder. */
const FOR_FOREIGN: LayoutFlags = {
  ...FOR_FILES,
  vae: '--vae',
  vaeScalingFactor: '--vae-scaling-factor',
  vaeNormGroups: '--vae-norm-groups',
};
type LayoutFlags = { readonly [key in keyof LayoutOptions]?: string };

/** Layout options that a checkpoint leaves unread, as the command line names them. */
export function unreadLayout(path: string): LayoutFlags {
  if (existsSync(join(path, MANIFEST_NAME))) return FOR_FOREIGN;
  return existsSync(join(path, 'model_index.json')) ? FOR_FILES : {};
}

/** @throws OptionError for a layout option that this checkpoint would leave unread. */
export function refuseUnreadLayout(path: string, options: LayoutOptions): void {
  const unread = Object.entries(unreadLayout(path)) as [keyof LayoutOptions, string][];
  const [, flag] = unread.find(([key]) => options[key] !== undefined) ?? [];
  if (flag) {
    throw new OptionError(
      `${flag}: ${path} is a folder that says this itself; leave it out, or convert the original weights with it`,
    );
  }
}

/** Starts the backend and says which, unless quiet. @throws BackendError when it cannot hold weights of the type. */
export async function startBackend({ backend: name, gpu, quiet, dtype }: BackendCliOptions): Promise<BackendReport> {
  const backend = await useBackend(name, { ...(gpu ? { gpu: true } : {}) });
  assertHolds(dtype);
  if (quiet) return backend;
  console.error(`Backend: ${backend.description}`);
  const { fusedOps } = backend;
  if (fusedOps && fusedOps.instructions === undefined && !backend.gpu) {
    console.error(`Without fused ops, which are faster: ${fusedOps.reason}${commandAdvice(fusedOps.command)}`);
  }
  const faster = backend.absent[0];
  if (faster && !name) {
    console.error(`Without ${faster.name}, which is faster: ${faster.reason}${commandAdvice(faster.command)}`);
  }
  return backend;
}

function commandAdvice(command: string | undefined): string {
  return command ? `; run ${command}` : '';
}
