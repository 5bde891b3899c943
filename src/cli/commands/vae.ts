import { resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { Command, Option } from 'commander';
import { readTensor } from '../../device.ts';
import { checkpointPath } from '../../hub/checkpoint-path.ts';
import {
  type AutoencoderKL,
  type AutoencoderSizes,
  autoencoderMemory,
  fromPixels,
  type LatentMoments,
  loadAutoencoder,
  OptionError,
  type PixelImage,
  toPixels,
} from '../../index.ts';
import { resizeLanczos } from '../../pipelines/lanczos.ts';
import { torchNoise } from '../../pipelines/noise.ts';
import { wholeNumber } from '../arguments.ts';
import { downloading } from '../download-progress.ts';
import { findModel } from '../find-model.ts';
import { withInterrupt } from '../interrupt.ts';
import { writeLatents } from '../latents-file.ts';
import { type MemoryLimit, memoryError, memoryLimits } from '../memory-check.ts';
import {
  type BackendCliOptions,
  DEFAULT_MODEL,
  startBackend,
  withAutoencoderSizes,
  withBackendOptions,
} from '../model-options.ts';
import { checkOutput, encodePicture, pictureKind, writeStdout, writeWhole } from '../pictures.ts';
import { readPicture } from '../read-picture.ts';
import { reconstructionReport } from '../reconstruction-report.ts';
import { expandSeeds } from '../seeds.ts';

/** What `-o` takes for the standard output. */
const STDOUT = '-';

interface VaeOptions extends BackendCliOptions, AutoencoderSizes {
  readonly model?: string;
  readonly vae?: string;
  readonly sample?: boolean;
  readonly seed?: number;
  readonly latents?: string;
  readonly output: string;
  readonly force?: boolean;
  readonly forceMemory?: boolean;
}

export function vaeCommand(): Command {
  const command = new Command('vae')
    .description('encode a picture and decode it again, and say what was lost')
    .argument('<picture>', 'PNG or JPEG file; what is transparent becomes white')
    .addOption(
      new Option(
        '-m, --model <name>',
        `checkpoint folder, or the name of a shipped one (default: ${DEFAULT_MODEL})`,
      ).conflicts('vae'),
    )
    .option(
      '--vae <path>',
      'instead: an AutoencoderKL, its diffusers folder, a weights file, or owner/name on the hub',
    );
  return withBackendOptions(withAutoencoderSizes(command))
    .option('--force-memory', 'try a picture that is estimated not to fit in memory')
    .option('--sample', 'draw the latents from their distribution; without it they are its mean')
    .option('-s, --seed <n>', 'noise of --sample; −1 is random (default: −1)', wholeNumber)
    .option('--latents <file>', 'safetensors file of latents, mean and logvar, [1,C,h,w] as PyTorch has them')
    .option('-o, --output <file>', 'PNG or JPEG file; - is a PNG on stdout', 'out.png')
    .option('--force', 'replace files that exist')
    .action((path: string, options: VaeOptions) => withInterrupt((signal) => vae(path, options, signal)));
}

async function vae(path: string, options: VaeOptions, signal: AbortSignal): Promise<void> {
  const { output, latents: latentsFile, force = false } = options;
  const seed = seedOf(options);
  await checkFiles(output, latentsFile, force);
  const weights = await autoencoderPath(options);
  const picture = await readPicture(path);
  const backend = await startBackend(options);
  const limits = options.forceMemory ? [] : memoryLimits(backend);
  const autoencoder = await loadAutoencoder(weights, { ...options, encoder: true });
  try {
    const original = fitted(path, picture, autoencoder, limits);
    const { scale } = autoencoder;
    const { decoded, ...trip } = await roundTrip(autoencoder, original, seed, latentsFile, signal);
    const bytes = await encodePicture(output, decoded, {});
    await (output === STDOUT ? writeStdout(bytes) : writeWhole(output, bytes));
    if (options.quiet) return;
    const print = output === STDOUT ? console.error : console.log;
    print(reconstructionReport(path, { picture, original, decoded, scale, seed, ...trip }));
    const files = [latentsFile, output].filter((file) => file !== undefined && file !== STDOUT);
    if (files.length > 0) console.error(`Wrote ${files.join(' and ')}`);
  } finally {
    autoencoder.dispose();
  }
}

/** @throws OptionError or FileError for names that cannot be written, before anything is read. */
async function checkFiles(output: string, latentsFile: string | undefined, force: boolean): Promise<void> {
  pictureKind(output);
  if (output !== STDOUT) await checkOutput(output, force);
  if (latentsFile === undefined) return;
  if (resolve(latentsFile) === resolve(output))
    throw new OptionError(`--latents ${latentsFile}: is the file of -o too; give the two different names`);
  await checkOutput(latentsFile, force);
}

/** Null for the mean of the distribution. */
function seedOf({ sample, seed }: VaeOptions): number | null {
  if (sample) return expandSeeds(seed === undefined ? undefined : [seed], 1)[0] ?? null;
  if (seed === undefined) return null;
  throw new OptionError(`--seed ${seed}: is the noise of --sample; give that too, or leave this out`);
}

/**
 * The picture, made smaller where its sides are no multiples of the autoencoder's scale, as diffusers' pipelines do.
 * @throws OptionError when it is too small for one latent; BackendError when it is estimated not to fit in memory.
 */
function fitted(
  path: string,
  picture: PixelImage,
  { scale, config }: AutoencoderKL,
  limits: readonly MemoryLimit[],
): PixelImage {
  const width = picture.width - (picture.width % scale);
  const height = picture.height - (picture.height % scale);
  if (width === 0 || height === 0) {
    const size = `${picture.width}×${picture.height}`;
    throw new OptionError(`${path}: expected at least ${scale}×${scale} pixels for this autoencoder, got ${size}`);
  }
  const { weights, activations } = autoencoderMemory(config, height, width);
  const limit = limits.find(({ bytes }) => weights + activations > bytes);
  if (limit) {
    const what = `${path}: encoding and decoding ${width}×${height} pixels`;
    const advice = ['give a smaller picture', limit.advice, '--force-memory tries it all the same'];
    throw memoryError(what, weights + activations, limit, advice);
  }
  return resizeLanczos(picture, width, height);
}

function autoencoderPath({ vae, model = DEFAULT_MODEL, quiet }: VaeOptions): Promise<string> {
  if (vae === undefined) return findModel(model, { quiet, part: 'vae' });
  return downloading(quiet, (hub) => checkpointPath(vae, { ...hub, part: 'vae' }));
}

interface RoundTrip {
  readonly decoded: PixelImage;
  readonly latentShape: readonly number[];
  readonly encodeSeconds: number;
  readonly decodeSeconds: number;
}

/** Encodes, writes the latents where a file is named, and decodes. @throws AbortError between the two when stopped */
async function roundTrip(
  autoencoder: AutoencoderKL,
  original: PixelImage,
  seed: number | null,
  latentsFile: string | undefined,
  signal: AbortSignal,
): Promise<RoundTrip> {
  const { encodeSeconds, ...tensors } = await encode(autoencoder, original, seed);
  try {
    signal.throwIfAborted();
    const scalingFactor = String(autoencoder.config.scalingFactor);
    if (latentsFile !== undefined) await writeLatents(latentsFile, tensors, { scaling_factor: scalingFactor });
    const start = performance.now();
    const image = tf.tidy(() => tf.squeeze(autoencoder.decode(tensors.latents), [0]) as tf.Tensor3D);
    const decoded = await toPixels(image, 'diffusers');
    image.dispose();
    const decodeSeconds = (performance.now() - start) / 1000;
    return { decoded, latentShape: tensors.latents.shape, encodeSeconds, decodeSeconds };
  } finally {
    tf.dispose({ ...tensors });
  }
}

async function encode(
  autoencoder: AutoencoderKL,
  original: PixelImage,
  seed: number | null,
): Promise<LatentMoments & { readonly latents: tf.Tensor4D; readonly encodeSeconds: number }> {
  const start = performance.now();
  const moments = tf.tidy(() => ({ ...autoencoder.moments(fromPixels(original)) }));
  const latents = tf.tidy(() =>
    autoencoder.latents(moments, seed === null ? undefined : torchNoise(seed, 1)(moments.mean.shape)),
  );
  await readTensor(latents); // so that the time is counted where it is spent
  return { latents, ...moments, encodeSeconds: (performance.now() - start) / 1000 };
}
