import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { OptionError } from '../errors.ts';
import type { AutoencoderKLConfig } from '../models/autoencoder-config.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import type { DiTConfig } from '../models/dit-config.ts';
import { randomArchive } from './random-archive.ts';
import { randomCheckpoint, randomDiT } from './random-checkpoint.ts';

// checkpoints/dit-emoji
const DEMO: DiTConfig = {
  hiddenSize: 128,
  depth: 28,
  numHeads: 4,
  patchSize: 2,
  mlpRatio: 4,
  inChannels: 4,
  outChannels: 8,
  inputSize: 16,
  numClasses: 28,
  frequencyShift: 0,
  normEps: 1e-6,
};
const DEMO_VAE: AutoencoderKLConfig = {
  blockOutChannels: [32, 64, 64],
  layersPerBlock: 1,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 16,
  scalingFactor: 1,
};
// stabilityai/sd-vae-ft-ema and -mse, which the released DiT and PixArt decode with
const SD_VAE: AutoencoderKLConfig = {
  blockOutChannels: [128, 256, 512, 512],
  layersPerBlock: 2,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 32,
  scalingFactor: 0.18215,
};

const SIZES: Readonly<Record<string, () => OpenedCheckpoint>> = {
  demo: () => withVae(randomDiT('demo', DEMO), DEMO_VAE),
  'DiT-XL/2-256': () => withVae(randomCheckpoint('DiT-XL/2-256'), SD_VAE),
  'DiT-XL/2-512': () => withVae(randomCheckpoint('DiT-XL/2-512'), SD_VAE),
  'PixArt-512': () => withVae(randomCheckpoint('PixArt-XL/2-512'), SD_VAE),
  'PixArt-1024': () => withVae(randomCheckpoint('PixArt-XL/2-1024'), SD_VAE),
};

export const BENCH_SIZE_NAMES: readonly string[] = Object.keys(SIZES);

/**
 * A model of full size with random weights, its autoencoder included; "demo" has the sizes of the shipped one.
 * @param name one of `BENCH_SIZE_NAMES`; case does not matter
 * @throws OptionError for another name
 */
export function benchCheckpoint(name: string): OpenedCheckpoint {
  const known = BENCH_SIZE_NAMES.find((one) => one.toLowerCase() === name.toLowerCase());
  const open = SIZES[known ?? ''];
  if (!open) throw new OptionError(`size: expected one of ${BENCH_SIZE_NAMES.join(', ')}; got ${JSON.stringify(name)}`);
  return open();
}

function withVae(checkpoint: OpenedCheckpoint, config: AutoencoderKLConfig): OpenedCheckpoint {
  return { ...checkpoint, vae: { config, archive: randomArchive(AutoencoderKL.parameterShapes(config)) } };
}
