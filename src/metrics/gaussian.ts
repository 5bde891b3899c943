/** 2·radius + 1 weights of a Gaussian, which sum to 1. @param sigma in pixels */
export function gaussianWindow(radius: number, sigma: number): Float64Array {
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/**
 * A plane blurred along both axes; pixels outside count as the nearest inside.
 * @param plane row by row
 */
export function gaussianBlur(plane: Float64Array, width: number, height: number, window: Float64Array): Float64Array {
  return blurAlong(blurAlong(plane, 1, width, window), width, height, window);
}

/** @param step between neighbours along the axis @param length of the axis */
function blurAlong(from: Float64Array, step: number, length: number, window: Float64Array): Float64Array {
  const radius = (window.length - 1) / 2;
  const out = new Float64Array(from.length);
  for (let i = 0; i < from.length; i++) {
    const position = Math.floor(i / step) % length;
    let sum = 0;
    for (let k = -radius; k <= radius; k++) {
      const clamped = Math.min(Math.max(position + k, 0), length - 1);
      sum += (window[k + radius] ?? 0) * (from[i + (clamped - position) * step] ?? 0);
    }
    out[i] = sum;
  }
  return out;
}
