import * as tf from '@tensorflow/tfjs-core';

// 10000: the period of DiT's timestep and position tables (models.py TimestepEmbedder, get_1d_sincos_pos_embed_from_grid)
const MAX_PERIOD = 10000;

/**
 * Features of a number, a timestep above all, cosines first: [cos(t·f), sin(t·f)] with f_i = 10000^(−i / (half − shift)).
 * Computed on the host in float32 steps as PyTorch does: sin and cos of arguments up to 999 are inexact on GPUs.
 * @param timesteps N values, 0…999 as timesteps, may be fractional; PixArt has sizes in pixels and ratios here, too
 * @param shift 0 in facebookresearch/DiT, 1 in diffusers' DiT (downscale_freq_shift)
 * @returns [N, size]
 */
export function timestepFrequencies(timesteps: readonly number[], size: number, shift: number): tf.Tensor2D {
  const half = size / 2;
  const slope = Math.fround(-Math.log(MAX_PERIOD)); // PyTorch rounds the factor first
  const values = new Float32Array(timesteps.length * size);
  for (let i = 0; i < half; i++) {
    const exponent = Math.fround(Math.fround(slope * i) / (half - shift));
    const frequency = Math.fround(Math.exp(exponent));
    timesteps.forEach((t, n) => {
      const phase = Math.fround(Math.fround(t) * frequency);
      values[n * size + i] = Math.cos(phase);
      values[n * size + half + i] = Math.sin(phase);
    });
  }
  return tf.tensor2d(values, [timesteps.length, size]);
}

/** How the positions of a grid are scaled before sine and cosine: the spacing of an axis is base ÷ length ÷ scale. */
export interface PositionScale {
  /** Tokens along either side of the grid that the model was made for; a grid of any other size spans as much. */
  readonly base: number;
  /** PixArt's lewei_scale, diffusers' interpolation_scale. */
  readonly interpolation: number;
}

/**
 * The fixed 2-D sine-cosine position table. The first half of the channels encodes the column, the second half the
 * row; within each half all sines, then all cosines (DiT models.py get_2d_sincos_pos_embed). Positions are 0, 1, 2, …
 * @param scale scales them (PixArt.py get_2d_sincos_pos_embed), each axis on its own
 * @returns [1, height·width, hiddenSize]
 */
export function positionTable(hiddenSize: number, height: number, width: number, scale?: PositionScale): tf.Tensor3D {
  const half = hiddenSize / 2;
  const [rows, columns] = [axisTable(half, height, scale), axisTable(half, width, scale)];
  const values = new Float32Array(height * width * hiddenSize);
  for (let token = 0; token < height * width; token++) {
    const [row, column] = [Math.floor(token / width), token % width];
    values.set(columns.subarray(column * half, (column + 1) * half), token * hiddenSize);
    values.set(rows.subarray(row * half, (row + 1) * half), token * hiddenSize + half);
  }
  return tf.tensor3d(values, [1, height * width, hiddenSize]);
}

/** [length, size]: of each position u all sin(u·ω_k), then all cos(u·ω_k), ω_k = 10000^(−k ÷ (size/2)). */
function axisTable(size: number, length: number, scale?: PositionScale): Float32Array {
  const half = size / 2;
  const omegas = Array.from({ length: half }, (_, k) => MAX_PERIOD ** (-k / half));
  const spacing = scale ? Math.fround(length / scale.base) : 1;
  const values = new Float32Array(length * size);
  for (let i = 0; i < length; i++) {
    // positions are float32 in both implementations, their products with ω float64
    const u = Math.fround(Math.fround(i / spacing) / (scale?.interpolation ?? 1));
    omegas.forEach((omega, k) => {
      values[i * size + k] = Math.sin(u * omega);
      values[i * size + half + k] = Math.cos(u * omega);
    });
  }
  return values;
}
