import { realpath, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AbortError, BackendError, DeltaDiTError } from '../../errors.ts';
import { findNvidia } from './nvidia.ts';
import { canLoad, type NativeAnswer, type Probe, probeTfjsNode } from './probe.ts';
import {
  discard,
  isComplete,
  makeWorkFolder,
  type NativeCache,
  nativeCache,
  publish,
  wheelFile,
} from './setup-cache.ts';
import { compileAddon } from './setup-compile.ts';
import { downloadWheels, missingWheels } from './setup-download.ts';
import { type FusedOpsOutcome, setUpFusedOps } from './setup-fused-ops.ts';
import { installTfjsNode, linkAddon, targetPackage } from './setup-package.ts';
import { recipeForThisMachine } from './setup-platform.ts';
import type { ReportProgress, SetupProgress } from './setup-progress.ts';
import { type Needs, type Pip, requireTools } from './setup-tools.ts';
import { unpackWheel } from './setup-unpack.ts';
import type { Device, NativeRecipe, Wheel } from './setup-wheels.ts';
import { findTfjsNode, hasNativePart, type TfjsNodePackage } from './tfjs-node-package.ts';

export type { SetupProgress } from './setup-progress.ts';

export interface SetupOptions {
  /**
   * Set up `@tensorflow/tfjs-node-gpu` with TensorFlow's CUDA build and NVIDIA's libraries, instead of
   * `@tensorflow/tfjs-node` for the CPU. Default false.
   */
  readonly gpu?: boolean;
  /** Answer with `skipped` where the set-up cannot be done, instead of throwing. Default false. */
  readonly ifPossible?: boolean;
  readonly onProgress?: (progress: SetupProgress) => void;
  readonly signal?: AbortSignal;
  /** Default: `$XDG_CACHE_HOME/delta-dit`, else `~/.cache/delta-dit`. */
  readonly cacheDir?: string;
  /** Folder from which tfjs-node is looked for, after the folder of this library. Default: the current one. */
  readonly userFolder?: string;
}

export type SetupOutcome =
  | {
      readonly status: 'ready';
      /** `found`: it worked already; `linked`: taken from the user's cache; `built`: made now. */
      readonly how: 'found' | 'linked' | 'built';
      /** "2.21.0" */
      readonly tensorflow: string;
      /** Whether TensorFlow lists a GPU; a part for GPUs that finds none runs on the CPU. */
      readonly gpu: boolean;
      /** The package that now has a native part. */
      readonly package: string;
      readonly folder: string;
      /** Our own ops on top of TensorFlow; without them it works, too, but takes longer. */
      readonly fusedOps: FusedOpsOutcome;
    }
  | { readonly status: 'skipped'; readonly reason: string };

/** The steps' shared settings. */
interface Run {
  readonly device: Device;
  readonly cacheDir: string | undefined;
  readonly report: ReportProgress;
  readonly signal: AbortSignal | undefined;
  readonly userFolder: string;
}

/**
 * Gives `@tensorflow/tfjs-node` a current TensorFlow: takes the C library out of the Python wheel that pip downloads and
 * compiles tfjs-node's own binding against it. With `gpu` it is the wheel with CUDA, and NVIDIA's libraries from their
 * wheels beside it. A tfjs-node that works already is left as it is. Beside the part, our own ops are compiled. The parts are kept once per user and linked into
 * node_modules. Calling it again is cheap, goes on after an interruption, and is safe beside another call.
 *
 * @throws BackendError where it cannot be done, with all that is missing and what to run (unless `ifPossible`).
 * @throws AbortError when `signal` stops it.
 */
export async function setupNative(options: SetupOptions = {}): Promise<SetupOutcome> {
  const run: Run = {
    device: options.gpu ? 'gpu' : 'cpu',
    cacheDir: options.cacheDir,
    report: options.onProgress ?? (() => {}),
    signal: options.signal,
    userFolder: options.userFolder ?? process.cwd(),
  };
  try {
    return await setUp(run);
  } catch (error) {
    const told = inOurWords(error, options.signal);
    if (options.ifPossible && told instanceof DeltaDiTError && !(told instanceof AbortError)) {
      return { status: 'skipped', reason: told.message };
    }
    throw told;
  }
}

async function setUp(run: Run): Promise<SetupOutcome> {
  const found = recipeForThisMachine(run.device);
  const part = 'recipe' in found ? nativeCache(found.recipe, run.cacheDir) : undefined;
  const working = await findWorking(run, part?.addon);
  if (working) return working;
  if ('refusal' in found) throw new BackendError(found.refusal);
  return setUpFrom(found.recipe, nativeCache(found.recipe, run.cacheDir), run);
}

async function setUpFrom(recipe: NativeRecipe, cache: NativeCache, run: Run): Promise<SetupOutcome> {
  const how = isComplete(cache) ? 'linked' : 'built';
  const installed = targetPackage(recipe.npmPackage, run.userFolder);
  const pip = await requireTools(needsOf(recipe, cache, installed), run.signal);
  const tfjsNode = installed ?? (await installTfjsNode(recipe.npmPackage, run.userFolder, run.report, run.signal));
  if (how === 'built') await discard(cache); // what is left of a part that lost a file
  if (how === 'built') await build({ recipe, cache, pip, tfjsNode, run });

  const probe = await linkAndProbe(tfjsNode, cache, run);
  if (probe.works) return ready(how, tfjsNode, probe, run);
  if (await canLoad(cache.addon, run.signal)) throw new BackendError(brokenPackage(tfjsNode, probe.reason));
  await discard(cache);
  if (how === 'built') {
    throw new BackendError(`The native part was built, but does not run here: ${probe.reason}. Use the backend wasm.`);
  }
  run.report({ message: `the native part in ${cache.folder} does not work (${probe.reason}); making it again` });
  return setUpFrom(recipe, cache, run);
}

/** What a set-up that has not begun, or was cut off, still needs. */
export function needsOf(recipe: NativeRecipe, cache: NativeCache, installed: TfjsNodePackage | undefined): Needs {
  const isBuilt = isComplete(cache);
  const missing = isBuilt ? [] : missingWheels(recipe, cache);
  const sum = (wheels: readonly Wheel[], size: 'downloadSize' | 'unpackedSize') =>
    wheels.reduce((bytes, wheel) => bytes + wheel[size], 0);
  const bytes = sum(missing, 'downloadSize') + (isBuilt ? 0 : sum(recipe.wheels, 'unpackedSize'));
  return { npm: !installed, pip: missing.length > 0, compiler: !isBuilt, space: { folder: cache.root, bytes } };
}

function brokenPackage({ name, version, folder }: TfjsNodePackage, reason: string): string {
  return (
    `${name} in ${folder} does not work, although its native part does (${reason}). ` +
    `Install it afresh with \`npm install --ignore-scripts ${name}@${version}\`, then run the set-up again.`
  );
}

async function findWorking(run: Run, part: string | undefined): Promise<SetupOutcome | undefined> {
  for (const candidate of findTfjsNode(run.userFolder)) {
    if (!hasNativePart(candidate)) continue;
    run.report({ message: `checking the native part of ${candidate.name}` });
    const probe = await probeTfjsNode(candidate, { signal: run.signal });
    if (!probe.works) {
      run.report({ message: `the native part of ${candidate.name} does not work (${probe.reason})` });
      continue;
    }
    // One that lists no GPU is what was asked for only if it is the part that is made here.
    const isAskedFor = run.device === 'cpu' || probe.gpu || (await isLinkedTo(candidate, part));
    if (isAskedFor) return ready('found', candidate, probe, run);
  }
  return undefined;
}

async function isLinkedTo({ addon }: TfjsNodePackage, part: string | undefined): Promise<boolean> {
  const [linked, ours] = await Promise.all([addon, part ?? ''].map((path) => realpath(path).catch(() => undefined)));
  return linked !== undefined && linked === ours;
}

interface Build {
  readonly recipe: NativeRecipe;
  readonly cache: NativeCache;
  readonly pip: Pip | undefined;
  readonly tfjsNode: TfjsNodePackage;
  readonly run: Run;
}

async function build(part: Build): Promise<void> {
  const { recipe, cache, run } = part;
  if (recipe.device === 'gpu' && !(await findNvidia(run.signal))) {
    run.report({ message: 'no NVIDIA driver is found: until there is one, the native part runs on the CPU' });
  }
  const workFolder = await makeWorkFolder(cache);
  try {
    await buildIn(workFolder, part);
  } catch (error) {
    // A set-up beside this one may have finished, and removed the wheels, in the meantime.
    if (run.signal?.aborted || !isComplete(cache)) throw error;
    await rm(cache.wheels, { recursive: true, force: true });
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

async function buildIn(workFolder: string, { recipe, cache, pip, tfjsNode, run }: Build): Promise<void> {
  const { report, signal } = run;
  if (pip) await downloadWheels({ recipe, cache, pip, workFolder, report, signal });
  const made = join(workFolder, 'made');
  for (const wheel of recipe.wheels) await unpackOrForget(wheel, wheelFile(cache, wheel), made, run);
  report({ message: `compiling the binding of ${tfjsNode.name}` });
  await compileAddon(tfjsNode, made, signal);
  await publish(made, cache);
}

/** A wheel that cannot be unpacked is deleted, so that the next call downloads it afresh. */
async function unpackOrForget(wheel: Wheel, file: string, folder: string, { report, signal }: Run): Promise<void> {
  try {
    await unpackWheel(wheel, file, folder, report, signal);
  } catch (error) {
    if (signal?.aborted || isSystemError(error)) throw error;
    await rm(file, { force: true });
    await rmdir(dirname(file)).catch(() => {}); // unless other wheels lie there
    throw new BackendError(
      `The downloaded wheel ${file} is damaged (${error instanceof Error ? error.message : error}); it has been deleted. Run the set-up again.`,
      { cause: error },
    );
  }
}

async function linkAndProbe(tfjsNode: TfjsNodePackage, cache: NativeCache, run: Run): Promise<Probe<NativeAnswer>> {
  run.report({ message: 'checking that TensorFlow computes' });
  await linkAddon(tfjsNode, cache.addon);
  const probe = await probeTfjsNode(tfjsNode, { signal: run.signal });
  if (!probe.works) await rm(tfjsNode.addon, { force: true });
  return probe;
}

async function ready(
  how: 'found' | 'linked' | 'built',
  tfjsNode: TfjsNodePackage,
  { tensorflow, gpu }: NativeAnswer,
  { report, signal }: Run,
): Promise<SetupOutcome> {
  const fusedOps = await setUpFusedOps(tfjsNode, tensorflow, report, signal);
  return { status: 'ready', how, tensorflow, gpu, package: tfjsNode.name, folder: tfjsNode.folder, fusedOps };
}

/** A full disk or a folder without rights ends in one sentence like every other obstacle. */
function inOurWords(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof DeltaDiTError) return error;
  if (signal?.aborted) return new AbortError('The native set-up was stopped. Run it again to go on.', { cause: error });
  if (!isSystemError(error)) return error;
  if (error.code === 'ENOSPC') {
    return new BackendError(`The disk is full (${error.message}). Free some space, then run the set-up again.`, {
      cause: error,
    });
  }
  return new BackendError(`The native set-up cannot go on: ${error.message}.`, { cause: error });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return typeof error === 'object' && error !== null && 'code' in error && 'syscall' in error;
}
