/** x·kernel, and what is done with each sum before it is stored, in one shader. Sums are float32. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { type Product, productShader } from './product-operands.ts';
import { type GpuBackend, runShader, type Shader, unrolled } from './shader.ts';

/** Up to so many rows, the weights are read once for every four: a tile would be mostly empty, and few would be at work. */
const FEW_ROWS = 16;
/** With fewer tiles than this, large ones would leave much of a large GPU idle. */
const ENOUGH_TILES = 128;

export function product(backend: GpuBackend, operands: Product): TensorInfo {
  const { rows, outFeatures } = operands;
  if (rows <= FEW_ROWS) return runShader(backend, fewRows(operands));
  const tilesOf = (size: number) => Math.ceil(rows / size) * Math.ceil(outFeatures / size);
  return runShader(backend, tiled(operands, tilesOf(64) < ENOUGH_TILES ? 32 : 64));
}

/** Depth of the tiles of both operands, in vectors of four. */
const DEPTH = 4;

/**
 * A workgroup makes a square of the product, each invocation four rows of four columns, from tiles of both operands that
 * pass through workgroup memory. A row of the left tile is padded by a vector, so that its readers use different banks.
 */
function tiled(operands: Product, size: 32 | 64): Shader {
  const { rows, outFeatures } = operands;
  const shader = productShader(operands);
  const count = Math.ceil(rows / size) * Math.ceil(outFeatures / size);
  return {
    ...shader,
    name: `product ${size} ${shader.name}`,
    code: shader.code + tiledCode(size),
    workgroups: { count, invocations: (size / 4) ** 2 },
  };
}

function tiledCode(size: 32 | 64): string {
  const [across, invocations] = [size / 4, (size / 4) ** 2];
  return `
var<workgroup> rowTile : array<vec4<f32>, ${size * (DEPTH + 1)}>;
var<workgroup> kernelTile : array<vec4<f32>, ${4 * DEPTH * across}>;

fn main() {
  let tilesAcross = (uniforms.outFeatures + ${size - 1}) / ${size};
  let firstRow = (workgroupIndex() / tilesAcross) * ${size};
  let firstColumn = (workgroupIndex() % tilesAcross) * ${size};
  let own = i32(localIndex);
  let ownRow = (own / ${across}) * 4;
  let ownQuad = own % ${across};
${unrolled(4, (r) => `  var sums${r} = vec4<f32>(0.0);`)}

  for (var k = 0; k < uniforms.inFeatures; k = k + ${4 * DEPTH}) {
    for (var i = own; i < ${size * DEPTH}; i = i + ${invocations}) {
      rowTile[(i / ${DEPTH}) * ${DEPTH + 1} + i % ${DEPTH}] = rowQuad(firstRow + i / ${DEPTH}, k + (i % ${DEPTH}) * 4);
    }
    for (var i = own; i < ${4 * DEPTH * across}; i = i + ${invocations}) {
      kernelTile[i] = kernelQuad(k + i / ${across}, firstColumn + (i % ${across}) * 4);
    }
    workgroupBarrier();
    for (var d = 0; d < ${DEPTH}; d = d + 1) {
${unrolled(4, (i) => `      let kernel${i} = kernelTile[(d * 4 + ${i}) * ${across} + ownQuad];`)}
${unrolled(4, (r) => sumRow(r, `rowTile[(ownRow + ${r}) * ${DEPTH + 1} + d]`))}
    }
    workgroupBarrier();
  }
${unrolled(4, (r) => `  store(firstRow + ownRow + ${r}, firstColumn + ownQuad * 4, sums${r});`)}
}`;
}

/** Adds to the sums of row `r` what four of its elements and the loaded rows of the kernel give. */
function sumRow(r: number, quad: string): string {
  const terms = ['x', 'y', 'z', 'w'].map((c, i) => `vec4<f32>(row${r}.${c}) * kernel${i}`);
  return `      let row${r} = ${quad};
${unrolled(4, (i) => `      sums${r} = sums${r} + ${terms[i]};`)}`;
}

/** Columns of the workgroups for few rows, in vectors of four; as many invocations share the depth. */
const QUADS = 16;

const FEW_ROWS_CODE = `
var<workgroup> partialSums : array<vec4<f32>, ${QUADS * QUADS}>;

fn main() {
  let blocksAcross = (uniforms.outFeatures + ${4 * QUADS - 1}) / ${4 * QUADS};
  let firstRow = (workgroupIndex() / blocksAcross) * 4;
  let own = i32(localIndex);
  let part = own / ${QUADS};
  let column = ((workgroupIndex() % blocksAcross) * ${QUADS} + own % ${QUADS}) * 4;
${unrolled(4, (r) => `  var sums${r} = vec4<f32>(0.0);`)}

  for (var k = part * 4; k < uniforms.inFeatures; k = k + ${4 * QUADS}) {
${unrolled(4, (i) => `    let kernel${i} = kernelQuad(k + ${i}, column);`)}
${unrolled(4, (r) => sumRow(r, `rowQuad(firstRow + ${r}, k)`))}
  }
${unrolled(
  4,
  (r) => `
  workgroupBarrier();
  partialSums[own] = sums${r};
  workgroupBarrier();
  if (part == 0) {
    for (var i = 1; i < ${QUADS}; i = i + 1) {
      sums${r} = sums${r} + partialSums[i * ${QUADS} + own];
    }
    store(firstRow + ${r}, column, sums${r});
  }`,
)}
}`;

/**
 * A workgroup makes four rows of 64 columns. Neighbours read neighbouring weights; sixteen parts of the depth are summed up
 * apart and put together in the end.
 */
function fewRows(operands: Product): Shader {
  const { rows, outFeatures } = operands;
  const shader = productShader(operands);
  const count = Math.ceil(rows / 4) * Math.ceil(outFeatures / (4 * QUADS));
  return {
    ...shader,
    name: `product of few rows ${shader.name}`,
    code: shader.code + FEW_ROWS_CODE,
    workgroups: { count, invocations: QUADS ** 2 },
  };
}
