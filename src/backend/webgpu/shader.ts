/** Running a compute shader of our own on tfjs' WebGPU backend. */
import type { BackendValues, DataType, KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';

/** As much of tfjs' WebGPU backend as its own kernels use. */
export interface GpuBackend extends KernelBackend {
  readonly tensorMap: { get(dataId: object): GpuTensor };
  makeTensorInfo(shape: number[], dtype: DataType, values?: BackendValues): TensorInfo;
  uploadToGPU(dataId: object): void;
  runWebGPUProgram(
    program: GpuProgram,
    inputs: TensorInfo[],
    dtype: DataType,
    uniforms: { type: 'int32' | 'float32'; data: number[] }[],
    output?: TensorInfo,
  ): TensorInfo;
}

interface GpuTensor {
  /** Until they are uploaded, which lets go of them. */
  readonly values?: unknown;
}

/** What tfjs compiles and dispatches; it fills in the rest. */
interface GpuProgram {
  readonly shaderKey: string;
  readonly variableNames: string[];
  readonly variableComponents: number[];
  readonly outputComponent: number;
  readonly outputShape: number[];
  readonly uniforms: string;
  readonly size: boolean;
  readonly workgroupSize: [number, number, number];
  readonly dispatch: [number, number, number];
  readonly dispatchLayout: { x: number[]; y?: number[] };
  getUserCode(): string;
}

/** How many elements of an array one index covers: an array of f32 or i32, or of vectors of them. */
export type Components = 1 | 2 | 4;

export interface Shader {
  /** Names the code: programs of one name, layout and component counts have the same. */
  readonly name: string;
  /**
   * WGSL. tfjs declares each input under its name, `result`, `uniforms` and, as private variables of each invocation,
   * `localIndex`, `workgroupId` and `numWorkgroups`; it calls `main(index : i32)` of a shader that runs for each element
   * and `main()` of one that runs in workgroups. Being private, they count as non-uniform: no barrier may depend on them.
   */
  readonly code: string;
  /** By name; each is to be used, as is `uniforms`. */
  readonly inputs: Readonly<Record<string, GpuInput>>;
  readonly output: {
    readonly shape: readonly number[];
    readonly dtype?: 'float32' | 'int32';
    readonly components?: Components;
  };
  readonly uniforms: Readonly<Record<string, Uniform>>;
  /** Without it, the shader runs for each vector of the output: `index < uniforms.size` is to be checked. */
  readonly workgroups?: { readonly count: number; readonly invocations: number };
}

export interface GpuInput {
  readonly tensor: TensorInfo;
  /** Default 1. */
  readonly components?: Components;
}

export type Uniform = { readonly i32: number } | { readonly f32: number };

/** Invocations of a workgroup where nothing is shared: what WebGPU promises every adapter is 256. */
const FLAT = 64;
/** Workgroups along a dimension that WebGPU promises every adapter. */
const MOST_WORKGROUPS = 65_535;

/**
 * Runs a shader on tensors of the backend.
 * @param into a tensor to write into instead of a new one
 */
export function runShader(backend: GpuBackend, shader: Shader, into?: TensorInfo): TensorInfo {
  const { shape, dtype = 'float32' } = shader.output;
  const empty = sizeOf(shape) === 0;
  const values = dtype === 'float32' ? new Float32Array(0) : new Int32Array(0);
  const output = into ?? backend.makeTensorInfo([...shape], dtype, empty ? values : undefined);
  if (empty) return output;
  const inputs = Object.values(shader.inputs).map(({ tensor }) => withoutShape(tensor));
  const uniforms = Object.values(shader.uniforms).map((uniform) =>
    'i32' in uniform
      ? { type: 'int32' as const, data: [uniform.i32] }
      : { type: 'float32' as const, data: [uniform.f32] },
  );
  backend.runWebGPUProgram(programOf(shader), inputs, dtype, uniforms, withoutShape(output));
  return output;
}

/** tfjs compiles a shader again for each relation of its operands' shapes, and ours use none. */
function withoutShape(tensor: TensorInfo): TensorInfo {
  return { ...tensor, shape: [] };
}

function programOf({ name, code, inputs, output, uniforms, workgroups }: Shader): GpuProgram {
  const { shape, components = 1 } = output;
  const variableComponents = Object.values(inputs).map(({ components = 1 }) => components);
  const declared = Object.entries(uniforms).map(([name, value]) => `${name} : ${'i32' in value ? 'i32' : 'f32'},`);
  return {
    shaderKey: `deltaDit ${name} ${variableComponents} ${components}`,
    variableNames: Object.keys(inputs),
    variableComponents,
    outputComponent: components,
    outputShape: [...shape],
    uniforms: declared.join(' '),
    size: !workgroups,
    workgroupSize: [workgroups?.invocations ?? FLAT, 1, 1],
    dispatch: workgroups ? gridOf(workgroups.count) : [Math.ceil(sizeOf(shape) / components / FLAT), 1, 1],
    // tfjs spreads one dimension over two or three where it is too long, and counts on: with `y`, it is ours to count
    dispatchLayout: workgroups ? { x: [0], y: [1] } : { x: [0] },
    getUserCode: () => (workgroups ? WORKGROUP_INDEX + code : code),
  };
}

/** The grid may have a few workgroups more than were asked for. */
const WORKGROUP_INDEX = `
fn workgroupIndex() -> i32 {
  return i32(workgroupId.y * numWorkgroups.x + workgroupId.x);
}
`;

function gridOf(count: number): [number, number, number] {
  const rows = Math.max(1, Math.ceil(count / MOST_WORKGROUPS));
  return [Math.ceil(count / rows), rows, 1];
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The widest vectors that divide what is contiguous. */
export function componentsOf(contiguous: number): 1 | 4 {
  return contiguous % 4 === 0 ? 4 : 1;
}

export function typeOf(components: Components): string {
  return components === 1 ? 'f32' : `vec${components}<f32>`;
}

/** WGSL of `count` lines or blocks that differ in a number. A loop over an array of variables may not be unrolled by every driver. */
export function unrolled(count: number, line: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join('\n');
}

/** Frees what a kernel made on the way. */
export function release(backend: GpuBackend, ...tensors: readonly TensorInfo[]): void {
  for (const { dataId } of tensors) backend.disposeData(dataId);
}
