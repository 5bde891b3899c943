import type { BranchName } from './block.ts';
import type { ModelCost, Numerics, TransformerSizes } from './dit-config.ts';

/** Sizes of a PixArt-α, and what differs between its checkpoints. */
export interface PixArtConfig extends TransformerSizes {
  /** Width of the text encoder. */
  readonly captionChannels: number;
  /** By how much positions are squeezed: 2 at 1024 pixels, 1 below (lewei_scale of PixArt-alpha's inference.py). */
  readonly interpolationScale: number;
  /** Whether the model is told the picture's size and aspect ratio: PixArt-α 1024-MS and LCM. */
  readonly microConditions: boolean;
  /** eps of the norms in the blocks. 1e-6: PixArt.py. diffusers takes `norm_eps` of its config, 1e-6 too by default. */
  readonly normEps: number;
}

/** The residual branches of a PixArt block, in order. */
export const PIXART_BRANCHES: readonly BranchName[] = ['self', 'cross', 'mlp'];

/** The released sizes, PixArt_XL_2 and PixArtMS_XL_2; the others of a PixArtConfig differ between them. */
export const PIXART_XL_2 = {
  hiddenSize: 1152,
  depth: 28,
  numHeads: 16,
  patchSize: 2,
  mlpRatio: 4,
  inChannels: 4,
  outChannels: 8,
  captionChannels: 4096,
  normEps: 1e-6,
} as const;

/** Tokens that PixArt-α's captions are padded or cut to (model_max_length of PixArt.py). */
export const PIXART_CAPTION_LENGTH = 120;

/** Positions are squeezed where latents exceed 64 (diffusers PixArtTransformer2DModel; the original's scripts agree). */
export function interpolationScaleOf(inputSize: number): number {
  return Math.max(Math.floor(inputSize / 64), 1);
}

/** The same model with the details of the named implementation; given the same inputs, they otherwise agree. */
export function withPixArtNumerics(config: PixArtConfig, numerics: Numerics): PixArtConfig {
  return numerics === 'original' ? { ...config, normEps: 1e-6 } : config;
}

/** What a forward costs besides its sizes. */
export interface PixArtCostSetting {
  /** Of the latent. Default: `inputSize`. */
  readonly height?: number;
  readonly width?: number;
  /** Caption tokens, padding included. Default 120. */
  readonly captionLength?: number;
}

/** What `pixArtCost` counts. */
export interface PixArtCost extends ModelCost {
  /** What a forward does besides its blocks: embedders, the shared modulation, the caption's projection, final layer. */
  readonly ends: number;
}

/**
 * Multiply-accumulates of one forward of one sample. Of a block: linears 14·D²·T and, for the caption's keys and values,
 * 2·D²·L; attention products 2·T²·D, and 2·T·L·D of the cross-attention.
 */
export function pixArtCost(config: PixArtConfig, setting: PixArtCostSetting = {}): PixArtCost {
  const { hiddenSize: d, depth, mlpRatio, patchSize: p, inputSize } = config;
  const { height = inputSize, width = inputSize, captionLength: l = PIXART_CAPTION_LENGTH } = setting;
  const tokens = (height / p) * (width / p);
  const third = d / 3;
  const sizes = config.microConditions ? 3 * (FREQUENCIES * third + third * third) : 0;
  return {
    depth,
    blockLinear: (6 + 2 * mlpRatio) * d * d * tokens + 2 * d * d * l,
    blockAttention: 2 * tokens * tokens * d + 2 * tokens * l * d,
    branches: {
      self: { linear: 4 * d * d * tokens, attention: 2 * tokens * tokens * d },
      cross: { linear: 2 * d * d * tokens + 2 * d * d * l, attention: 2 * tokens * l * d },
      mlp: { linear: 2 * mlpRatio * d * d * tokens, attention: 0 },
    },
    ends:
      tokens * p * p * d * (config.inChannels + config.outChannels) +
      (FREQUENCIES * d + d * d + sizes + 6 * d * d) +
      l * (config.captionChannels * d + d * d),
  };
}

/** Sine-cosine features of a timestep or a size. */
const FREQUENCIES = 256;
