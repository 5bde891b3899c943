import { createRequire } from 'node:module';
import { runTool, type ToolRun, tellingLine } from './run-tool.ts';
import type { TfjsNodePackage } from './tfjs-node-package.ts';

export type Probe<T> = ({ readonly works: true } & T) | { readonly works: false; readonly reason: string };

/** What a tfjs-node that works says of its TensorFlow. */
export interface NativeAnswer {
  /** Version of the library that was loaded, "2.21.0". */
  readonly tensorflow: string;
  /** Whether TensorFlow lists a GPU. */
  readonly gpu: boolean;
}

export interface ProbeOptions {
  readonly signal?: AbortSignal | undefined;
  /** In milliseconds. Default: none. */
  readonly timeLimit?: number | undefined;
}

/**
 * Loads a tfjs-node in a process of its own and multiplies two matrices: a native part that does not fit the machine
 * ends the process, which must not be ours.
 */
export function probeTfjsNode({ folder }: TfjsNodePackage, options: ProbeOptions = {}): Promise<Probe<NativeAnswer>> {
  return probe<NativeAnswer>(NATIVE, [folder], options);
}

/** What our own ops say of themselves. */
export interface FusedOpsAnswer {
  /** The best instruction set that they have for this processor: "amx", "avx512", "avx2", "plain". */
  readonly instructions: string;
}

/** Lets one of our ops compute in such a process. */
export function probeFusedOps(
  { folder }: Pick<TfjsNodePackage, 'folder'>,
  addon: string,
  options: ProbeOptions = {},
): Promise<Probe<FusedOpsAnswer>> {
  return probe<FusedOpsAnswer>(FUSED, [folder, addon], options);
}

/** What a backend that needs no native part says of itself. */
export interface ScriptedAnswer {
  readonly version: string;
  /** For wasm. */
  readonly simd?: boolean;
  readonly threads?: number;
}

/** The same for those backends; their packages are looked for from this library. */
export async function probeBackend(name: 'wasm' | 'cpu', options: ProbeOptions = {}): Promise<Probe<ScriptedAnswer>> {
  const { resolve } = createRequire(import.meta.url);
  try {
    const packages = ['@tensorflow/tfjs-core', `@tensorflow/tfjs-backend-${name}`].map((id) => resolve(id));
    return await probe<ScriptedAnswer>(SCRIPTED, [name, ...packages], options);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return { works: false, reason: String(error.message.split('\n')[0]) };
  }
}

/** What TensorFlow writes about GPUs while it starts; it says there why it lists none. */
export async function gpuLog(
  { folder }: Pick<TfjsNodePackage, 'folder'>,
  options: ProbeOptions = {},
): Promise<readonly string[]> {
  const env = { ...ENVIRONMENT, TF_CPP_MIN_LOG_LEVEL: '0' };
  const { stderr } = await runTool(process.execPath, ['-e', NATIVE, folder], { env, ...options });
  return stderr
    .split('\n')
    .filter((line) => /\b(gpus?|cuda|cuinit|cudnn|nvidia)\b/i.test(line))
    .map((line) => line.replace(/^[^\]]*\.cc:\d+\] /, '').trim());
}

/** Whether a native part can be loaded by itself, whatever the package around it does. */
export async function canLoad(addon: string, signal?: AbortSignal): Promise<boolean> {
  const run = await runTool(process.execPath, ['-e', 'require(process.argv[1])', addon], { env: ENVIRONMENT, signal });
  return run.ok;
}

/** Runs a script in a process of its own; what it answers is the result. */
export async function probe<T>(script: string, args: readonly string[], options: ProbeOptions): Promise<Probe<T>> {
  const run = await runTool(process.execPath, ['-e', script, ...args], { env: ENVIRONMENT, ...options });
  const answer = run.stdout.split('\n').find((line) => line.startsWith(MARK));
  if (run.ok && answer) return { works: true, ...(JSON.parse(answer.slice(MARK.length)) as T) };
  return { works: false, reason: whyNot(run) };
}

function whyNot(run: ToolRun): string {
  // TensorFlow's wheels need AVX; the processor answers the first such instruction with this signal.
  if (run.ending === 'signal SIGILL') return 'this processor lacks instructions that it needs (AVX)';
  if (run.ending.startsWith('signal')) return `it crashes (${run.ending})`;
  return run.ending.startsWith('exit code') ? tellingLine(run) : run.ending;
}

function isNotFound(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
}

/** Silent, without what the user tells Node, and without taking all memory of a GPU that others may be using. */
const ENVIRONMENT = { TF_CPP_MIN_LOG_LEVEL: '3', NODE_OPTIONS: '', TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
const MARK = 'delta-dit probe ';
/** The begin of a script that lets tfjs multiply and answers with what `describe` gives, or with `answer` at once. */
export const COMPUTE = `
const answer = (found) => console.log('${MARK}' + JSON.stringify(found));
const compute = (tf, describe) =>
  tf.matMul([[1, 2]], [[3], [4]]).data().then(([product]) => {
    if (product !== 11) throw new Error('1*3 + 2*4 gave ' + product);
    answer(describe());
  });`;
const LOAD = `
const util = require('node:util');
Object.assign(util, { isNullOrUndefined: (v) => v == null, isArray: Array.isArray });
const tf = require(process.argv[1]);`;
const FUSED = `${LOAD}
const addon = require(process.argv[2]);
const running = tf.backend().binding.TF_Version;
if (addon.tensorflow !== running) throw new Error('made for TensorFlow ' + addon.tensorflow + ', not ' + running);
addon.register();
tf.backend().executeSingleOutput('DeltaDitGelu', [], [tf.tensor1d([0, 100])]).data().then((values) => {
  if (String(values) !== '0,100') throw new Error('gelu of 0,100 gave ' + values);
  console.log('${MARK}' + JSON.stringify({ instructions: addon.instructions() }));
});`;
const NATIVE = `${COMPUTE}${LOAD}
compute(tf, () => {
  const { binding, isUsingGpuDevice } = tf.backend();
  return { tensorflow: binding.TF_Version, gpu: isUsingGpuDevice };
});`;
const SCRIPTED = `${COMPUTE}
const [, name, core, backend] = process.argv;
const tf = require(core);
const { version_wasm, getThreadsCount } = require(backend);
tf.env().set('PROD', true); // without it cpu advertises tfjs-node
tf.setBackend(name).then(async (started) => {
  if (!started) throw new Error('tfjs could not start it');
  if (name === 'cpu') return compute(tf, () => ({ version: tf.version_core }));
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return compute(tf, () => ({ version: version_wasm, simd, threads: getThreadsCount() }));
});`;
