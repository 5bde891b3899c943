import { ShapeError } from '../errors.ts';
import { gaussianBlur, gaussianWindow } from './gaussian.ts';
import { luma } from './luma.ts';
import { PEAK, type Pixels } from './psnr.ts';

// Venkatanath et al. 2015, with the numbers of MATLAB's piqe
const BLOCK = 16;
const SEGMENT = 6;
/** Variance of a block from which on it is active, and so counts. */
const ACTIVE_VARIANCE = 0.1;
/** Standard deviation of a piece of a block's edge below which it is an artefact. */
const FLAT_DEVIATION = 0.1;
/** MATLAB's local window: 7×7 pixels, σ 7/6. */
const WINDOW = gaussianWindow(3, 7 / 6);
/** Keeps the score finite where no block is active. */
const C = 1;

/**
 * Perception-based image quality evaluator (Venkatanath et al., "Blind image quality evaluation using perception based
 * features", 2015): 0 is the best, about 100 the worst; no reference is needed. The luma is normalised by the mean and
 * deviation of its surroundings; blocks of 16×16 that vary count, those with a flat piece of edge (blocking) or that
 * look like noise count as distorted. 100 where no block is active, as in a picture of one colour.
 *
 * Equals pypiqe 1.2, a port of MATLAB's piqe, on the rounded luma: a picture is stretched until its brightest pixel
 * is 255, and extended to whole blocks by its mirror image.
 * @throws ShapeError for a picture of no pixel
 */
export function piqe(picture: Pixels): number {
  const { width, height } = picture;
  if (width < 1 || height < 1) throw new ShapeError(`piqe: expected pixels, got ${width}×${height}`);
  const [wide, tall] = [wholeBlocks(width), wholeBlocks(height)];
  const normalised = normalise(mirrored(stretched(picture), width, height, wide, tall), wide, tall);
  let active = 0;
  let distortion = 0;
  for (let top = 0; top < tall; top += BLOCK) {
    for (let left = 0; left < wide; left += BLOCK) {
      const block = blockAt(normalised, wide, left, top);
      const variance = varianceOf(block);
      if (!(variance > ACTIVE_VARIANCE)) continue;
      active++;
      if (hasFlatEdge(block)) distortion += 1 - variance;
      if (looksLikeNoise(block, Math.sqrt(variance))) distortion += variance;
    }
  }
  return ((distortion + C) / (active + C)) * 100;
}

function wholeBlocks(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** Rounded luma, the brightest at 255; black stays black. */
function stretched(picture: Pixels): Float64Array {
  const grey = luma(picture).map(Math.round);
  const brightest = grey.reduce((most, value) => Math.max(most, value), 0);
  return brightest === 0 ? grey : grey.map((value) => roundHalfEven(PEAK * (value / brightest)));
}

/** As numpy rounds. */
function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Extended at the right and at the bottom; the border pixel comes twice. */
function mirrored(plane: Float64Array, width: number, height: number, wide: number, tall: number): Float64Array {
  const reflect = (at: number, size: number) => {
    const place = at % (2 * size);
    return place < size ? place : 2 * size - 1 - place;
  };
  return Float64Array.from({ length: wide * tall }, (_, i) => {
    const [x, y] = [reflect(i % wide, width), reflect(Math.floor(i / wide), height)];
    return plane[y * width + x] ?? 0;
  });
}

/** (I − μ) ÷ (σ + 1) of each pixel's surroundings: the MSCN coefficients. */
function normalise(plane: Float64Array, width: number, height: number): Float64Array {
  const mean = gaussianBlur(plane, width, height, WINDOW);
  const squares = plane.map((value) => value * value);
  const meanOfSquares = gaussianBlur(squares, width, height, WINDOW);
  return plane.map((value, i) => {
    const mu = mean[i] ?? 0;
    return (value - mu) / (Math.sqrt(Math.abs((meanOfSquares[i] ?? 0) - mu * mu)) + 1);
  });
}

/** Row by row. */
function blockAt(plane: Float64Array, width: number, left: number, top: number): Float64Array {
  return Float64Array.from({ length: BLOCK * BLOCK }, (_, i) => {
    const [x, y] = [i % BLOCK, Math.floor(i / BLOCK)];
    return plane[(top + y) * width + left + x] ?? 0;
  });
}

/** Of a sample, over n − 1. */
function varianceOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}

function hasFlatEdge(block: Float64Array): boolean {
  const last = BLOCK - 1;
  const edges = [
    (i: number) => i, // top
    (i: number) => i * BLOCK + last,
    (i: number) => last * BLOCK + i,
    (i: number) => i * BLOCK, // left
  ];
  return edges.some((place) => {
    const edge = Float64Array.from({ length: BLOCK }, (_, i) => block[place(i)] ?? 0);
    for (let first = 0; first + SEGMENT <= BLOCK; first++) {
      if (Math.sqrt(varianceOf(edge.subarray(first, first + SEGMENT))) < FLAT_DEVIATION) return true;
    }
    return false;
  });
}

/** Whether the block deviates more than twice as much as its middle columns' and the others' deviations differ. */
function looksLikeNoise(block: Float64Array, deviation: number): boolean {
  // MATLAB takes two columns for the middle; of the others it leaves out the second of them and not its neighbour,
  // because it counts on after the first has gone. Kept, so that scores agree.
  const middle = varianceOf(columns(block, [7, 8]));
  const others = varianceOf(columns(block, [0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15]));
  const ratio = middle === 0 ? 0 : Math.sqrt(middle / others);
  return deviation > (2 * Math.abs(deviation - ratio)) / Math.max(deviation, ratio);
}

function columns(block: Float64Array, which: readonly number[]): Float64Array {
  return Float64Array.from(which.flatMap((x) => Array.from({ length: BLOCK }, (_, y) => block[y * BLOCK + x] ?? 0)));
}
