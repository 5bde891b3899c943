import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import type { StoredTensor, TensorArchive } from '../checkpoint/stored-tensor.ts';
import { OptionError } from '../errors.ts';
import type { AutoencoderKLConfig } from '../models/autoencoder-config.ts';
import { AutoencoderKL } from '../models/autoencoder-kl.ts';
import { DiT } from '../models/dit.ts';
import { DIT_SIZES, type DiTConfig } from '../models/dit-config.ts';
import { elementCount, type Shape } from '../shape.ts';

type Width = keyof typeof DIT_SIZES;
const WIDTHS = Object.keys(DIT_SIZES) as readonly Width[];
// DiT_models of facebookresearch/DiT models.py, on the latents of pictures of 256 and 512 px
const PATCH_SIZES = [2, 4, 8];
const IMAGE_SIZES = [256, 512];

interface NamedSize {
  readonly name: string;
  readonly config: DiTConfig;
}

const SIZES: readonly NamedSize[] = WIDTHS.flatMap((width) =>
  PATCH_SIZES.flatMap((patchSize) =>
    IMAGE_SIZES.map((pixels) => ({
      name: `DiT-${width}/${patchSize}-${pixels}`,
      config: imageNetConfig(width, patchSize, pixels),
    })),
  ),
);

/** The models of the DiT paper with the size of their pictures, such as DiT-XL/2-256. */
export const DIT_SIZE_NAMES: readonly string[] = SIZES.map(({ name }) => name);

/**
 * A DiT of full size with random weights, for measurements where no checkpoint is at hand: time and memory are the real
 * ones, pictures are noise. Weights are drawn as they are read, tensor by tensor, and are the same each time. The
 * autoencoder is a stand-in of a few weights that does not enlarge.
 * @param name one of `DIT_SIZE_NAMES`; case does not matter
 * @throws OptionError for another name
 */
export function randomCheckpoint(name: string): OpenedCheckpoint {
  const size = SIZES.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (!size) throw new OptionError(`size: expected one of ${DIT_SIZE_NAMES.join(', ')}; got ${JSON.stringify(name)}`);
  return {
    pipeline: 'DiTPipeline',
    name: `${size.name} with random weights`,
    numerics: 'original',
    transformer: { config: size.config, archive: randomArchive(DiT.parameterShapes(size.config)) },
    vae: { config: STAND_IN, archive: randomArchive(AutoencoderKL.parameterShapes(STAND_IN)) },
    scheduler: {},
    labels: [],
    defaults: PAPER_DEFAULTS,
    files: [],
    sha256: [],
    close: async () => {},
  };
}

// T of arXiv 2406.01125, Table 4; its guidance is not stated, 4 is diffusers' (any above 1 costs the same)
const PAPER_DEFAULTS = { numInferenceSteps: 20, guidanceScale: 4 };

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

/** A checkpoint in memory whose tensors are drawn when they are read. */
function randomArchive(shapes: ReadonlyMap<string, Shape>): TensorArchive {
  const tensors = [...shapes].map(([name, shape], i): [string, StoredTensor] => [
    name,
    { name, dtype: 'F32', shape, read: async () => new Uint8Array(randomWeights(shape, i + 1).buffer) },
  ]);
  return { name: 'random weights', tensors: new Map(tensors), metadata: new Map(), close: async () => {} };
}

/** As large as trained ones: tables and kernels [inputs…, outputs] of variance 1/inputs, the rest about 0.02. */
const VECTOR_STD = 0.02;

/**
 * Uniform numbers around 0 by xorshift32 (Marsaglia 2003, shifts 13, 17, 5): some times faster than normal ones, and
 * time depends on neither.
 */
function randomWeights(shape: Shape, seed: number): Float32Array<ArrayBuffer> {
  const std = shape.length > 1 ? 1 / Math.sqrt(elementCount(shape.slice(0, -1))) : VECTOR_STD;
  const scale = (std * Math.sqrt(12)) / 2 ** 32;
  const values = new Float32Array(elementCount(shape));
  let state = Math.imul(seed, 0x9e3779b1); // spreads neighbouring seeds; odd, so never 0
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = state * scale;
  }
  return values;
}
