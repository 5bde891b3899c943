import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AbortError, BackendError, DeltaDiTError } from '../../errors.ts';
import { canLoad, type Probe, probeTfjsNode } from './probe.ts';
import { discard, isComplete, makeWorkFolder, type NativeCache, nativeCache, publish } from './setup-cache.ts';
import { compileAddon } from './setup-compile.ts';
import { downloadWheel } from './setup-download.ts';
import { installTfjsNode, linkAddon, targetPackage } from './setup-package.ts';
import { type TensorFlowWheel, wheelForThisMachine } from './setup-platform.ts';
import type { ReportProgress, SetupProgress } from './setup-progress.ts';
import { type Needs, type Pip, requireTools } from './setup-tools.ts';
import { unpackWheel } from './setup-unpack.ts';
import { findTfjsNode, hasNativePart, type TfjsNodePackage } from './tfjs-node-package.ts';

export type { SetupProgress } from './setup-progress.ts';

export interface SetupOptions {
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
      readonly gpu: boolean;
      /** The package that now has a native part. */
      readonly package: string;
      readonly folder: string;
    }
  | { readonly status: 'skipped'; readonly reason: string };

/** The steps' shared settings. */
interface Run {
  readonly report: ReportProgress;
  readonly signal: AbortSignal | undefined;
  readonly userFolder: string;
}

/**
 * Gives `@tensorflow/tfjs-node` a current TensorFlow: takes the C library out of the Python wheel that pip downloads and
 * compiles tfjs-node's own binding against it. A tfjs-node that works already is left as it is. The parts are kept once
 * per user and linked into node_modules. Calling it again is cheap, goes on after an interruption, and is safe beside
 * another call.
 *
 * @throws BackendError where it cannot be done, with all that is missing and what to run (unless `ifPossible`).
 * @throws AbortError when `signal` stops it.
 */
export async function setupNative(options: SetupOptions = {}): Promise<SetupOutcome> {
  const run = {
    report: options.onProgress ?? (() => {}),
    signal: options.signal,
    userFolder: options.userFolder ?? process.cwd(),
  };
  try {
    return await setUp(run, options.cacheDir);
  } catch (error) {
    const told = inOurWords(error, options.signal);
    if (options.ifPossible && told instanceof DeltaDiTError && !(told instanceof AbortError)) {
      return { status: 'skipped', reason: told.message };
    }
    throw told;
  }
}

async function setUp(run: Run, cacheDir: string | undefined): Promise<SetupOutcome> {
  const working = await findWorking(run);
  if (working) return working;
  const found = wheelForThisMachine();
  if ('refusal' in found) throw new BackendError(found.refusal);
  const cache = nativeCache(found.wheel, cacheDir);
  const how = isComplete(cache) ? 'linked' : 'built';
  const installed = targetPackage(run.userFolder);
  const pip = await requireTools(needsOf(found.wheel, cache, installed), run.signal);
  const tfjsNode = installed ?? (await installTfjsNode(run.userFolder, run.report, run.signal));
  if (how === 'built') await discard(cache); // what is left of a part that lost a file
  if (how === 'built') await build({ wheel: found.wheel, cache, pip, tfjsNode, run });

  const probe = await linkAndProbe(tfjsNode, cache, run);
  if (probe.works) return ready(how, tfjsNode, probe);
  if (await canLoad(cache.addon, run.signal)) throw new BackendError(brokenPackage(tfjsNode, probe.reason));
  await discard(cache);
  if (how === 'built') {
    throw new BackendError(`The native part was built, but does not run here: ${probe.reason}. Use the backend wasm.`);
  }
  run.report({ message: `the native part in ${cache.folder} does not work (${probe.reason}); making it again` });
  return setUp(run, cacheDir);
}

function needsOf(wheel: TensorFlowWheel, cache: NativeCache, installed: TfjsNodePackage | undefined): Needs {
  const isBuilt = isComplete(cache);
  const isDownloaded = isBuilt || existsSync(cache.wheelFile);
  const bytes = (isDownloaded ? 0 : wheel.downloadSize) + (isBuilt ? 0 : wheel.unpackedSize);
  return { npm: !installed, pip: !isDownloaded, compiler: !isBuilt, space: { folder: cache.root, bytes } };
}

function brokenPackage({ name, version, folder }: TfjsNodePackage, reason: string): string {
  return (
    `${name} in ${folder} does not work, although its native part does (${reason}). ` +
    `Install it afresh with \`npm install --ignore-scripts ${name}@${version}\`, then run the set-up again.`
  );
}

async function findWorking(run: Run): Promise<SetupOutcome | undefined> {
  for (const candidate of findTfjsNode(run.userFolder)) {
    if (!hasNativePart(candidate)) continue;
    run.report({ message: `checking the native part of ${candidate.name}` });
    const probe = await probeTfjsNode(candidate, run.signal);
    if (probe.works) return ready('found', candidate, probe);
    run.report({ message: `the native part of ${candidate.name} does not work (${probe.reason})` });
  }
  return undefined;
}

interface Build {
  readonly wheel: TensorFlowWheel;
  readonly cache: NativeCache;
  readonly pip: Pip | undefined;
  readonly tfjsNode: TfjsNodePackage;
  readonly run: Run;
}

async function build({ wheel, cache, pip, tfjsNode, run: { report, signal } }: Build): Promise<void> {
  const workFolder = await makeWorkFolder(cache);
  try {
    if (pip) await downloadWheel({ wheel, pip, workFolder, target: cache.wheelFile, report, signal });
    // A set-up beside this one may have finished, and removed the wheel, in the meantime.
    if (isComplete(cache)) return;
    const made = join(workFolder, 'made');
    await unpackOrForget(cache.wheelFile, made, report, signal);
    report({ message: 'compiling the binding of @tensorflow/tfjs-node' });
    await compileAddon(tfjsNode, made, signal);
    await publish(made, cache);
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

/** A wheel that cannot be unpacked is deleted, so that the next call downloads it afresh. */
async function unpackOrForget(
  wheelFile: string,
  folder: string,
  report: ReportProgress,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await unpackWheel(wheelFile, folder, report, signal);
  } catch (error) {
    if (signal?.aborted || isSystemError(error)) throw error;
    await rm(wheelFile, { force: true });
    throw new BackendError(
      `The downloaded wheel ${wheelFile} is damaged (${error instanceof Error ? error.message : error}); it has been deleted. Run the set-up again.`,
      { cause: error },
    );
  }
}

async function linkAndProbe(tfjsNode: TfjsNodePackage, cache: NativeCache, run: Run): Promise<Probe> {
  run.report({ message: 'checking that TensorFlow computes' });
  await linkAddon(tfjsNode, cache.addon);
  const probe = await probeTfjsNode(tfjsNode, run.signal);
  if (!probe.works) await rm(tfjsNode.addon, { force: true });
  return probe;
}

function ready(
  how: 'found' | 'linked' | 'built',
  tfjsNode: TfjsNodePackage,
  probe: Probe & { works: true },
): SetupOutcome {
  const { tensorflow, gpu } = probe;
  return { status: 'ready', how, tensorflow, gpu, package: tfjsNode.name, folder: tfjsNode.folder };
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
