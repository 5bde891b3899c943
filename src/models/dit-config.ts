import { OptionError } from '../errors.ts';
import type { BranchName } from './block.ts';

/** Sizes that a DiT and a PixArt both have. */
export interface TransformerSizes {
  readonly hiddenSize: number;
  readonly depth: number;
  readonly numHeads: number;
  readonly patchSize: number;
  readonly mlpRatio: number;
  readonly inChannels: number;
  /** Twice `inChannels` where variances are learned: ε, then variance logits. */
  readonly outChannels: number;
  /** Height and width of the latent; a PixArt, whose positions were laid out for it, takes others too. */
  readonly inputSize: number;
}

/** Sizes of a DiT and the two numerical details in which its implementations differ. */
export interface DiTConfig extends TransformerSizes {
  /** Without the "no class" row. */
  readonly numClasses: number;
  /** 0: facebookresearch/DiT. 1: diffusers (downscale_freq_shift of DiTTransformer2DModel). */
  readonly frequencyShift: 0 | 1;
  /** eps of the norm before the MLP. 1e-6: facebookresearch/DiT. diffusers takes `norm_eps` of its config, 1e-5. */
  readonly normEps: number;
}

/** Which implementation's numbers are reproduced where the two differ. */
export type Numerics = 'original' | 'diffusers';

/** The sizes of the paper's Table 1, DiT_models of models.py. */
export const DIT_SIZES = {
  S: { hiddenSize: 384, depth: 12, numHeads: 6 },
  B: { hiddenSize: 768, depth: 12, numHeads: 12 },
  L: { hiddenSize: 1024, depth: 24, numHeads: 16 },
  XL: { hiddenSize: 1152, depth: 28, numHeads: 16 },
} as const;

/** The residual branches of a DiT block, in order. */
export const DIT_BRANCHES: readonly BranchName[] = ['self', 'mlp'];

/** diffusers' default of `norm_eps` (DiTTransformer2DModel). */
const DIFFUSERS_NORM_EPS = 1e-5;

/** The same model with the details of the named implementation. */
export function withNumerics(config: DiTConfig, numerics: Numerics): DiTConfig {
  if (numerics === 'original') return { ...config, frequencyShift: 0, normEps: 1e-6 };
  const normEps = config.frequencyShift === 1 ? config.normEps : DIFFUSERS_NORM_EPS;
  return { ...config, frequencyShift: 1, normEps };
}

/** Heads of the paper's widths. @throws OptionError at other widths, where the weights do not tell. */
export function headsOfWidth(hiddenSize: number, given?: number): number {
  const known = Object.values(DIT_SIZES).find((size) => size.hiddenSize === hiddenSize)?.numHeads;
  const numHeads = given ?? known;
  if (numHeads === undefined) {
    throw new OptionError(
      `the number of heads cannot be read from weights of width ${hiddenSize}; give --num-heads (numHeads)`,
    );
  }
  return numHeads;
}

/** Multiply-accumulates of one forward of one sample, as the paper's "Gflops" count them (arXiv 2212.09748, Table 1). */
export interface ModelCost {
  readonly depth: number;
  /** Linears and modulation of one block: 12·D²·T + 6·D². */
  readonly blockLinear: number;
  /** QKᵀ and A·V of one block: 2·T²·D. */
  readonly blockAttention: number;
  /** What the residual branches have of that; the rest of the linears is the modulation's. */
  readonly branches: Readonly<Partial<Record<BranchName, { readonly linear: number; readonly attention: number }>>>;
}

export function ditCost(config: DiTConfig): ModelCost {
  const { hiddenSize: d, depth, mlpRatio } = config;
  const tokens = (config.inputSize / config.patchSize) ** 2;
  const blockAttention = 2 * tokens * tokens * d;
  return {
    depth,
    blockLinear: (4 + 2 * mlpRatio) * d * d * tokens + 6 * d * d,
    blockAttention,
    branches: {
      self: { linear: 4 * d * d * tokens, attention: blockAttention },
      mlp: { linear: 2 * mlpRatio * d * d * tokens, attention: 0 },
    },
  };
}
