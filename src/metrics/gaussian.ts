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
  return blurColumns(blurRows(plane, width, window), width, height, window);
}

/** Each row is laid out with its ends repeated, so that the innermost loop looks at nothing but numbers. */
function blurRows(from: Float64Array, width: number, window: Float64Array): Float64Array {
  const radius = (window.length - 1) / 2;
  const out = new Float64Array(from.length);
  const row = new Float64Array(width + 2 * radius);
  for (let start = 0; start < from.length; start += width) {
    row.set(from.subarray(start, start + width), radius);
    row.fill(from[start] ?? 0, 0, radius);
    row.fill(from[start + width - 1] ?? 0, radius + width);
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < window.length; k++) sum += (window[k] as number) * (row[x + k] as number);
      out[start + x] = sum;
    }
  }
  return out;
}

/** Row by row, for the cache's sake: a row is a weighted sum of those around it. */
function blurColumns(from: Float64Array, width: number, height: number, window: Float64Array): Float64Array {
  const radius = (window.length - 1) / 2;
  const out = new Float64Array(from.length);
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < window.length; k++) {
      const other = width * Math.min(Math.max(y + k - radius, 0), height - 1);
      const weight = window[k] as number;
      for (let x = 0; x < width; x++) (out[y * width + x] as number) += weight * (from[other + x] as number);
    }
  }
  return out;
}
