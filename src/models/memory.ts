/**
 * How much memory a model takes, from its sizes alone, so that a request can be refused before anything is loaded.
 *
 * Counted from the operations as they are written; a backend that fuses some takes less. Measured with TensorFlow 2.21 on
 * 2 cores, peak resident memory above that of the started backend, in GB: DiT-XL/2 of 256 px on 2 samples 3.06 (here
 * 2.78), of 512 px 3.42 (3.10), the shipped DiT on 128 samples 0.58 (0.17); PixArt-XL/2 on 2 samples with captions of 120
 * tokens, of 256 px 2.85 (2.53), of 512 px 3.37 (2.83); T5-XXL from disk on one prompt 0.81 (0.55); and Stable Diffusion's
 * decoder at 512 px above its loaded weights, 0.65 in bands (0.54), 1.28 whole (1.07): allocators, threads and the
 * JavaScript engine take 0.1 to 0.5 more, and up to 1.0 where the engine has memory to spare and clears up late. On
 * WebAssembly weights count twice (see `peakBytes`): DiT-B/2 on 2 samples 1.14 (1.09), DiT-L/2 on one 3.82 (3.70).
 */
import type { WeightDtype } from '../checkpoint/hold.ts';
import { ATTENTION_MEMORY_BUDGET } from '../ops/attention.ts';
import { type AutoencoderKLConfig, autoencoderScale } from './autoencoder-config.ts';
import { AutoencoderKL, DECODE_TILE_BUDGET } from './autoencoder-kl.ts';
import { DiT } from './dit.ts';
import type { DiTConfig } from './dit-config.ts';
import { PixArt } from './pixart.ts';
import { PIXART_CAPTION_LENGTH, type PixArtConfig } from './pixart-config.ts';

/** Bytes. All is float32 but weights that are held in 16 bits, whatever type the checkpoint has. */
export interface ModelMemory {
  readonly weights: number;
  /** The most that one forward holds at once besides. */
  readonly activations: number;
}

export const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/**
 * A DiT on `samples` latents at once: with guidance twice the pictures.
 * @param config of the model; its `inputSize` gives the tokens @param dtype of its weights
 */
export function ditMemory(config: DiTConfig, samples: number, dtype?: WeightDtype): ModelMemory {
  const { hiddenSize, numHeads, mlpRatio, inputSize, patchSize } = config;
  const tokens = (inputSize / patchSize) ** 2;
  const stream = samples * tokens * hiddenSize; // [N,T,D]
  const attention = selfAttentionFloats(stream, samples * numHeads, tokens);
  // at GELU's last product: the tokens of the model, of the block, after attention, and normed; seven of the inner width
  const mlp = (4 + 7 * mlpRatio) * stream;
  return { weights: DiT.weightBytes(config, dtype), activations: FLOAT_BYTES * Math.max(attention, mlp) };
}

/** What a PixArt's forward takes besides its sizes. */
export interface PixArtMemorySetting {
  /** Of the latent. Default: `inputSize`. */
  readonly height?: number;
  readonly width?: number;
  /** Caption tokens. Default 120, of which padding is left out that all captions of a run have. */
  readonly captionLength?: number;
  /** Of the weights. Default: float32. */
  readonly dtype?: WeightDtype | undefined;
}

/** A PixArt on `samples` latents at once, their captions included: with guidance twice the pictures. */
export function pixArtMemory(config: PixArtConfig, samples: number, setting: PixArtMemorySetting = {}): ModelMemory {
  const { hiddenSize, numHeads, mlpRatio, patchSize, inputSize, captionChannels } = config;
  const { height = inputSize, width = inputSize, captionLength = PIXART_CAPTION_LENGTH, dtype } = setting;
  const tokens = (height / patchSize) * (width / patchSize);
  const stream = samples * tokens * hiddenSize; // [N,T,D]
  const caption = samples * captionLength * hiddenSize; // [N,L,D]
  // held by the whole run: captions as the text encoder gave them and as projected; positions
  const held = samples * captionLength * captionChannels + caption + tokens * hiddenSize;
  const self = selfAttentionFloats(stream, samples * numHeads, tokens);
  // at softmax·v: the tokens of the model, of the block, and after self-attention; q as projected, head-major, and
  // scaled; the product; k|v as projected and apart; scores without and with their bias, and their softmax
  const cross = 7 * stream + 4 * caption + scoreFloats(3, samples * numHeads, tokens, captionLength);
  // as of a DiT, and the tokens after cross-attention
  const mlp = (5 + 7 * mlpRatio) * stream;
  return {
    weights: PixArt.weightBytes(config, dtype),
    activations: FLOAT_BYTES * (held + Math.max(self, cross, mlp)),
  };
}

/**
 * At softmax·v: the tokens of the model, of the block, and normed; q|k|v as projected and apart; q scaled; the product;
 * scores and their softmax.
 * @param stream numbers of the tokens [N,T,D] @param heads of all samples
 */
function selfAttentionFloats(stream: number, heads: number, tokens: number): number {
  return (3 + 2 * 3 + 2) * stream + scoreFloats(2, heads, tokens, tokens);
}

/**
 * Scores of an attention [heads,queries,keys], in tiles where they would take more than attention's budget: one query's
 * at least.
 * @param matrices of that size that are held at once
 */
function scoreFloats(matrices: number, heads: number, queries: number, keys: number): number {
  const row = matrices * heads * keys;
  return Math.min(queries * row, Math.max(ATTENTION_MEMORY_BUDGET / FLOAT_BYTES, row));
}

/**
 * An AutoencoderKL that decodes one picture as pipelines do: in bands of rows where it would hold more than
 * `tileBudgetBytes` at once, whole otherwise, so always where that is `Infinity`.
 * @param height of the latent @param width of the latent
 */
export function decoderMemory(
  config: AutoencoderKLConfig,
  height: number,
  width: number,
  tileBudgetBytes = DECODE_TILE_BUDGET,
  dtype?: WeightDtype,
): ModelMemory {
  return {
    weights: AutoencoderKL.weightBytes(config, { dtype }),
    activations: decoderActivations(config, height, width, tileBudgetBytes),
  };
}

/** Whether pipelines decode in bands of rows. Parameters as of `decoderMemory` */
export function decodesInTiles(
  config: AutoencoderKLConfig,
  height: number,
  width: number,
  tileBudgetBytes = DECODE_TILE_BUDGET,
): boolean {
  return decoderActivations(config, height, width, Number.POSITIVE_INFINITY) > tileBudgetBytes;
}

function decoderActivations(
  { blockOutChannels }: AutoencoderKLConfig,
  height: number,
  width: number,
  tileBudgetBytes: number,
): number {
  const levels = [...blockOutChannels].reverse(); // from the latent outwards
  const positions = height * width;
  const attention = FLOAT_BYTES * pixelAttentionFloats(levels[0] ?? 0, positions);
  const resnets = levels.map((channels, level) => {
    const from = levels[level - 1] ?? channels;
    const whole = FLOAT_BYTES * resnetFloats(from, channels, positions * 4 ** level);
    const held = FLOAT_BYTES * Math.max(from, 2 * channels) * positions * 4 ** level; // by AutoencoderKL.decodeTiled
    return Math.min(whole, held + tileBudgetBytes);
  });
  return Math.max(attention, ...resnets);
}

/** An AutoencoderKL that encodes one picture and decodes it. @param height of the picture @param width of the picture */
export function autoencoderMemory(config: AutoencoderKLConfig, height: number, width: number): ModelMemory {
  const { blockOutChannels: levels } = config; // from the picture inwards
  const scale = autoencoderScale(config);
  const resnets = levels.map((channels, level) =>
    resnetFloats(levels[level - 1] ?? channels, channels, (height * width) / 4 ** level),
  );
  // its attention is as large as the encoder's
  const decoder = decoderActivations(config, height / scale, width / scale, Number.POSITIVE_INFINITY);
  const activations = Math.max(decoder, FLOAT_BYTES * Math.max(...resnets));
  return { weights: AutoencoderKL.weightBytes(config, { encoder: true }), activations };
}

/**
 * At the first norm of a resnet: its input and the norm's own three; or, where the second needs more: its input, the
 * first convolution, the norm's own three.
 */
function resnetFloats(inChannels: number, outChannels: number, positions: number): number {
  return Math.max(4 * inChannels, inChannels + 4 * outChannels) * positions;
}

/** One head over all positions: input, normed, q, k, v, q scaled, the product; scores and their softmax. */
function pixelAttentionFloats(channels: number, positions: number): number {
  return 7 * channels * positions + scoreFloats(2, 1, positions, positions);
}

/**
 * What a run holds at its peak: the weights of all its models, and the largest of their forwards.
 * @param weightCopies 2 on WebAssembly, whose XNNPACK keeps a copy of every kernel in an order of its own; else 1
 */
export function peakBytes(models: readonly ModelMemory[], weightCopies = 1): number {
  const weights = models.reduce((sum, model) => sum + model.weights, 0);
  return weightCopies * weights + Math.max(...models.map(({ activations }) => activations));
}
