/**
 * Attention in tiles, without a matrix of scores: a workgroup keeps 32 queries of one head and passes over the keys, 32 at
 * a time, with a running maximum and sum of each row (Dao et al. 2022, "FlashAttention", algorithm 1; the sum divides in the
 * end). Of the values it makes up to 128 columns; wider heads take more workgroups, each of which makes the scores again.
 */
import { type Components, unrolled } from './shader.ts';

/** Queries and keys of a tile. Of 8 × 8 invocations each has four queries, and four keys or vectors of columns. */
export const TILE = 32;
export const INVOCATIONS = 64;
/** Columns of keys that are in workgroup memory at a time, in vectors of four. */
const CHUNK = 4;
/** Vectors from one row of a tile to the next: those who read a column use different banks. */
const KEY_STRIDE = CHUNK + 1;
/** Vectors of columns that an invocation makes, 8 apart. */
const MOST_ROUNDS = 4;
/** What WebGPU promises every adapter. */
const WORKGROUP_BYTES = 16_384;
/** The lowest float32: exp of what is left of it by any maximum is 0, and where all scores are so low all count alike. */
const LOWEST = '-3.40282346638528859812e38';

/** How the columns of a head are shared out. */
interface HeadColumns {
  readonly headDim: number;
  /** Vectors of four. */
  readonly quads: number;
  /** Workgroups that share the columns of the values. */
  readonly slices: number;
  readonly rounds: number;
  /** Whether a tile of queries stays in workgroup memory whole. Else it passes through it with the keys. */
  readonly resident: boolean;
  readonly queryStride: number;
}

export function columnsOf(headDim: number): HeadColumns {
  const quads = Math.ceil(headDim / 4);
  const allRounds = Math.ceil(quads / 8);
  const slices = Math.ceil(allRounds / MOST_ROUNDS);
  const whole = quads % 4 === 0 ? quads + 1 : quads;
  const resident = 16 * TILE * (whole + KEY_STRIDE + 8) <= WORKGROUP_BYTES;
  const queryStride = resident ? whole : KEY_STRIDE;
  return { headDim, quads, slices, rounds: Math.ceil(allRounds / slices), resident, queryStride };
}

export interface AttentionCode {
  readonly headDim: number;
  readonly components: Components;
  readonly scoreBias: boolean;
  readonly keyBias: boolean;
}

/**
 * The shader of an attention from three arrays of rows, `q`, `k` and `v`.
 * Row r, 8 and 16 and 24 rows after it, are an invocation's; so are key c and those 8, 16 and 24 after it. A vector of
 * weights has the weights of four such keys.
 */
export function attentionCode(options: AttentionCode): string {
  const columns = columnsOf(options.headDim);
  const { slices, rounds, queryStride, resident } = columns;
  const all = (line: (round: number, r: number) => string) =>
    unrolled(rounds, (round) => unrolled(4, (r) => line(round, r)));
  return `
${declarations(options, columns)}
fn main() {
  let index = workgroupIndex();
  let tiles = (uniforms.queries + ${TILE - 1}) / ${TILE};
  let firstQuery = (index % tiles) * ${TILE};
  let firstQuad = ((index / tiles) % ${slices}) * ${rounds * 8};
  head = (index / (tiles * ${slices})) % uniforms.heads;
  sample = index / (tiles * ${slices} * uniforms.heads);
  let own = i32(localIndex);
  let ownRow = own / 8;
  let ownColumn = own % 8;
  ${resident ? loadTile('queryTile', 'q', 'firstQuery', columns.quads, queryStride, '0') : ''}
${unrolled(4, (r) => `  var maximum${r} = f32(${LOWEST});\n  var total${r} = 0.0;`)}
${all((round, r) => `  var sums${round}${r} = vec4<f32>(0.0);`)}
  for (var firstKey = 0; firstKey < uniforms.keys; firstKey = firstKey + ${TILE}) {
    ${scoresCode(columns)}
    ${weightsCode(options, columns)}
    ${valuesCode(columns)}
  }
${all((round, r) => `  store(firstQuery + ownRow + ${8 * r}, (firstQuad + ownColumn + ${8 * round}) * 4, sums${round}${r} / total${r});`)}
}`;
}

function declarations({ components, scoreBias, keyBias }: AttentionCode, columns: HeadColumns): string {
  const { headDim, queryStride } = columns;
  return `
var<private> sample : i32;
var<private> head : i32;
var<workgroup> queryTile : array<vec4<f32>, ${TILE * queryStride}>;
var<workgroup> keyTile : array<vec4<f32>, ${TILE * KEY_STRIDE}>;
var<workgroup> weightTile : array<vec4<f32>, ${TILE * 8}>;

// where the weights of a row are: moved about, so that those who read a column use different banks
fn weightAt(row : i32, i : i32) -> i32 {
  return row * 8 + (i ^ (row & 7));
}
${projectionCode('q', 'queries', headDim, components, ' * uniforms.scale')}
${projectionCode('k', 'keys', headDim, components)}
${projectionCode('v', 'keys', headDim, components)}
${scoreBias ? SCORE_BIAS : ''}
${keyBias ? KEY_BIAS : ''}
fn store(row : i32, column : i32, value : vec4<f32>) {
  if (sample >= uniforms.samples || row >= uniforms.queries || column >= ${headDim}) {
    return;
  }
  let at = ((sample * uniforms.queries + row) * uniforms.heads + head) * ${headDim} + column;
  ${components === 4 ? 'result[at / 4] = value;' : storeElements(headDim)}
}`;
}

function storeElements(headDim: number): string {
  return `for (var i = 0; i < min(4, ${headDim} - column); i = i + 1) {
    result[at + i] = value[i];
  }`;
}

/** `qQuad(row, column)` and its like: four elements of the head, zeros where it has none. */
function projectionCode(name: string, rows: string, headDim: number, components: Components, scale = ''): string {
  const elements = [0, 1, 2, 3].map((i) => `select(0.0, ${name}[at + ${i}], column + ${i} < ${headDim})`);
  const quad = components === 4 ? `${name}[at / 4]` : `vec4<f32>(${elements.join(', ')})`;
  return `
fn ${name}Quad(row : i32, column : i32) -> vec4<f32> {
  if (row >= uniforms.${rows} || column >= ${headDim}) {
    return vec4<f32>(0.0);
  }
  let first = (sample * uniforms.${rows} + row) * uniforms.${name}Stride + uniforms.${name}Offset;
  let at = first + head * ${headDim} + column;
  return ${quad}${scale};
}`;
}

const KEY_BIAS = `
fn keyBiasOf(keys : vec4<i32>) -> vec4<f32> {
  let at = sample * uniforms.keys + min(keys, vec4<i32>(uniforms.keys - 1));
  return vec4<f32>(keyBias[at.x], keyBias[at.y], keyBias[at.z], keyBias[at.w]);
}`;

const SCORE_BIAS = `
fn scoreBiasOf(query : i32, keys : vec4<i32>) -> vec4<f32> {
  let row = head * uniforms.queries + min(query, uniforms.queries - 1);
  let at = row * uniforms.keys + min(keys, vec4<i32>(uniforms.keys - 1));
  return vec4<f32>(scoreBias[at.x], scoreBias[at.y], scoreBias[at.z], scoreBias[at.w]);
}`;

/** Fills a tile of `quads` vectors a row, from the column of `first` vectors on. */
function loadTile(tile: string, projection: string, row: string, quads: number, stride: number, first: string): string {
  return `for (var i = own; i < ${TILE * quads}; i = i + ${INVOCATIONS}) {
    ${tile}[(i / ${quads}) * ${stride} + i % ${quads}] = ${projection}Quad(${row} + i / ${quads}, (${first} + i % ${quads}) * 4);
  }`;
}

/** `scores0` to `scores3`: four queries with four keys. */
function scoresCode({ quads, queryStride, resident }: HeadColumns): string {
  const query = (r: number) => `queryTile[(ownRow + ${8 * r}) * ${queryStride} + ${resident ? 'chunk + i' : 'i'}]`;
  return `
${unrolled(4, (r) => `    var scores${r} = vec4<f32>(0.0);`)}
    for (var chunk = 0; chunk < ${quads}; chunk = chunk + ${CHUNK}) {
      workgroupBarrier();
      ${loadTile('keyTile', 'k', 'firstKey', CHUNK, KEY_STRIDE, 'chunk')}
      ${resident ? '' : loadTile('queryTile', 'q', 'firstQuery', CHUNK, KEY_STRIDE, 'chunk')}
      workgroupBarrier();
      for (var i = 0; i < min(${CHUNK}, ${quads} - chunk); i = i + 1) {
${unrolled(4, (j) => `        let key${j} = keyTile[(ownColumn + ${8 * j}) * ${KEY_STRIDE} + i];`)}
${unrolled(
  4,
  (r) => `        let query${r} = ${query(r)};
        let products${r} = vec4<f32>(dot(query${r}, key0), dot(query${r}, key1), dot(query${r}, key2), dot(query${r}, key3));
        scores${r} = scores${r} + products${r};`,
)}
      }
    }`;
}

/** Scores to weights, unnormalised, in `weightTile`; sums so far are scaled to the new maximum. */
function weightsCode({ scoreBias, keyBias }: AttentionCode, { rounds }: HeadColumns): string {
  const each = (line: (r: number) => string) => unrolled(4, line);
  return `
    let keys = vec4<i32>(firstKey + ownColumn) + vec4<i32>(0, 8, 16, 24);
    let there = keys < vec4<i32>(uniforms.keys);
${scoreBias ? each((r) => `    scores${r} = scores${r} + scoreBiasOf(firstQuery + ownRow + ${8 * r}, keys);`) : ''}
${keyBias ? `    let bias = keyBiasOf(keys);\n${each((r) => `    scores${r} = scores${r} + bias;`)}` : ''}
${each(
  (r) => `    scores${r} = select(vec4<f32>(${LOWEST}), scores${r}, there);
    weightTile[weightAt(ownRow + ${8 * r}, ownColumn)] = scores${r};`,
)}
    workgroupBarrier();
${each((r) => `    var highest${r} = vec4<f32>(maximum${r});`)}
    for (var i = 0; i < 8; i = i + 1) {
${each((r) => `      highest${r} = max(highest${r}, weightTile[weightAt(ownRow + ${8 * r}, i)]);`)}
    }
    workgroupBarrier();
${each(
  (r) => `    let pair${r} = max(highest${r}.xy, highest${r}.zw);
    let next${r} = max(pair${r}.x, pair${r}.y);
    let fade${r} = exp(maximum${r} - next${r});
    maximum${r} = next${r};
    total${r} = total${r} * fade${r};
${unrolled(rounds, (round) => `    sums${round}${r} = sums${round}${r} * fade${r};`)}
    weightTile[weightAt(ownRow + ${8 * r}, ownColumn)] = select(vec4<f32>(0.0), exp(scores${r} - next${r}), there);`,
)}`;
}

/** Adds the weighted values, half of the keys of the tile at a time: each fourth vector of weights, and the next three. */
function valuesCode({ rounds }: HeadColumns): string {
  return unrolled(
    rounds,
    (round) => `
    for (var part = 0; part < 8; part = part + 4) {
      workgroupBarrier();
      for (var i = own; i < ${16 * 8}; i = i + ${INVOCATIONS}) {
        let key = firstKey + part + (i / 8) % 4 + (i / 32) * 8;
        keyTile[i] = vQuad(key, (firstQuad + ${8 * round} + i % 8) * 4);
      }
      workgroupBarrier();
      for (var i = 0; i < 4; i = i + 1) {
${unrolled(4, (j) => `        let value${j} = keyTile[(i + ${4 * j}) * 8 + ownColumn];`)}
${unrolled(
  4,
  (r) => `        let weight${r} = weightTile[weightAt(ownRow + ${8 * r}, part + i)];
${['x', 'y', 'z', 'w'].map((c, j) => `        sums${round}${r} = sums${round}${r} + weight${r}.${c} * value${j};`).join('\n')}
${round === 0 ? `        total${r} = total${r} + dot(weight${r}, vec4<f32>(1.0));` : ''}`,
)}
      }
    }`,
  );
}
