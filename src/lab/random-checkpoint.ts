import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { ORIGINAL_SCHEDULER } from '../../converters/pixart-configs.ts';
import { OptionError } from '../errors.ts';
import type { AutoencoderKLConfig } from '../models/autoencoder-config.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import { DiT } from '../models/dit.ts';
import { DIT_SIZES, type DiTConfig } from '../models/dit-config.ts';
import { PixArt } from '../models/pixart.ts';
import { interpolationScaleOf, PIXART_XL_2, type PixArtConfig } from '../models/pixart-config.ts';
import { randomArchive } from './random-archive.ts';

type Width = keyof typeof DIT_SIZES;
const WIDTHS = Object.keys(DIT_SIZES) as readonly Width[];
// DiT_models of facebookresearch/DiT models.py, on the latents of pictures of 256 and 512 px
const PATCH_SIZES = [2, 4, 8];
const DIT_PIXELS = [256, 512];
// the released checkpoints of PixArt-α
const PIXART_PIXELS = [256, 512, 1024];

interface NamedSize {
  readonly name: string;
  readonly open: () => OpenedCheckpoint;
}

const SIZES: readonly NamedSize[] = [
  ...WIDTHS.flatMap((width) =>
    PATCH_SIZES.flatMap((patchSize) =>
      DIT_PIXELS.map((pixels) => {
        const name = `DiT-${width}/${patchSize}-${pixels}`;
        return { name, open: () => randomDiT(name, imageNetConfig(width, patchSize, pixels)) };
      }),
    ),
  ),
  ...PIXART_PIXELS.map((pixels) => {
    const name = `PixArt-XL/2-${pixels}`;
    return { name, open: () => randomPixArt(name, pixArtConfig(pixels)) };
  }),
];

/** The models of the DiT paper and of PixArt-α with the size of their pictures, such as DiT-XL/2-256. */
export const RANDOM_SIZE_NAMES: readonly string[] = SIZES.map(({ name }) => name);

/**
 * A model of full size with random weights, for measurements where no checkpoint is at hand: time and memory are the real
 * ones, pictures are noise. Weights are drawn as they are read, tensor by tensor, and are the same each time. The
 * autoencoder is a stand-in of a few weights; that of a DiT does not enlarge. A PixArt has no text encoder: `randomPainter`
 * gives it captions.
 * @param name one of `RANDOM_SIZE_NAMES`; case does not matter
 * @throws OptionError for another name
 */
export function randomCheckpoint(name: string): OpenedCheckpoint {
  const size = SIZES.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (!size)
    throw new OptionError(`size: expected one of ${RANDOM_SIZE_NAMES.join(', ')}; got ${JSON.stringify(name)}`);
  return size.open();
}

/** As `randomCheckpoint`, of any sizes. */
export function randomDiT(name: string, config: DiTConfig): OpenedCheckpoint {
  return {
    pipeline: 'DiTPipeline',
    ...common(name, STAND_IN),
    transformer: { config, archive: randomArchive(DiT.parameterShapes(config)) },
    scheduler: {},
    labels: [],
    // T of arXiv 2406.01125, Table 4; its guidance is not stated, 4 is diffusers' (any above 1 costs the same)
    defaults: { numInferenceSteps: 20, guidanceScale: 4 },
  };
}

function randomPixArt(name: string, config: PixArtConfig): OpenedCheckpoint {
  return {
    pipeline: 'PixArtPipeline',
    ...common(name, { ...STAND_IN, blockOutChannels: [4, 4, 4, 4] }),
    transformer: { config, archive: randomArchive(PixArt.parameterShapes(config)) },
    nullCaption: undefined,
    openTextEncoder: undefined,
    tokenizer: undefined,
    scheduler: ORIGINAL_SCHEDULER,
    // arXiv 2406.01125, Table 2, and the guidance of PixArt-alpha's scripts and of diffusers
    defaults: { numInferenceSteps: 20, guidanceScale: 4.5 },
  };
}

function common(name: string, vae: AutoencoderKLConfig) {
  return {
    name: `${name} with random weights`,
    numerics: 'original',
    vae: { config: vae, archive: randomArchive(AutoencoderKL.parameterShapes(vae)) },
    files: [],
    sha256: [],
    close: async () => {},
  } as const;
}

const STAND_IN: AutoencoderKLConfig = {
  blockOutChannels: [4],
  layersPerBlock: 1,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 1,
  scalingFactor: 1,
};

function imageNetConfig(width: Width, patchSize: number, pixels: number): DiTConfig {
  return {
    ...DIT_SIZES[width],
    patchSize,
    mlpRatio: 4,
    inChannels: 4,
    outChannels: 8,
    inputSize: pixels / 8,
    numClasses: 1000,
    frequencyShift: 0,
    normEps: 1e-6,
  };
}

function pixArtConfig(pixels: number): PixArtConfig {
  const inputSize = pixels / 8;
  const interpolationScale = interpolationScaleOf(inputSize);
  return { ...PIXART_XL_2, inputSize, interpolationScale, microConditions: pixels === 1024 };
}
