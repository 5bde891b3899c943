import * as tf from '@tensorflow/tfjs-core';

// 10000: the period of DiT's timestep and position tables (models.py TimestepEmbedder, get_1d_sincos_pos_embed_from_grid)
const MAX_PERIOD = 10000;

/**
 * Timestep features, cosines first: [cos(t·f), sin(t·f)] with f_i = 10000^(−i / (half − shift)).
 * Computed on the host in float32 steps as PyTorch does: sin and cos of arguments up to 999 are inexact on GPUs.
 * @param timesteps N values in 0…999, may be fractional
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
      const phase = Math.fround(t * frequency);
      values[n * size + i] = Math.cos(phase);
      values[n * size + half + i] = Math.sin(phase);
    });
  }
  return tf.tensor2d(values, [timesteps.length, size]);
}

/**
 * The fixed 2-D sine-cosine position table. The first half of the channels encodes the column, the second half the
 * row; within each half all sines, then all cosines (DiT models.py get_2d_sincos_pos_embed).
 * @returns [1, height·width, hiddenSize]
 */
export function positionTable(hiddenSize: number, height: number, width: number): tf.Tensor3D {
  const quarter = hiddenSize / 4;
  const values = new Float32Array(height * width * hiddenSize);
  for (let token = 0; token < height * width; token++) {
    const column = token % width;
    const row = Math.floor(token / width);
    for (let k = 0; k < quarter; k++) {
      const omega = MAX_PERIOD ** (-k / quarter);
      const at = token * hiddenSize + k;
      values[at] = Math.sin(column * omega);
      values[at + quarter] = Math.cos(column * omega);
      values[at + 2 * quarter] = Math.sin(row * omega);
      values[at + 3 * quarter] = Math.cos(row * omega);
    }
  }
  return tf.tensor3d(values, [1, height * width, hiddenSize]);
}
