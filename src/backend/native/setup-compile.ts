import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BackendError } from '../../errors.ts';
import { fusedSources } from './fused-addon.ts';
import { runTool, tellingLine } from './run-tool.ts';
import { LIBRARIES } from './setup-wheels.ts';
import type { TfjsNodePackage } from './tfjs-node-package.ts';

/** Where the addon lies in a native part: beside TensorFlow's libraries. */
export const ADDON_PATH = 'tensorflow/tfjs_binding.node';

/** Compiles the unmodified binding of tfjs-node against the unpacked TensorFlow in `folder`, into that folder. */
export async function compileAddon(tfjsNode: TfjsNodePackage, folder: string, signal?: AbortSignal): Promise<void> {
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(tfjsNode.folder, 'binding', name));
  const tensorflow = join(folder, 'tensorflow');
  const run = await runTool(
    'g++',
    [
      ...['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8'],
      ...[`-I${join(tensorflow, 'include')}`, `-I${nodeHeaders()}`],
      ...sources,
      ...[`-L${tensorflow}`, ...LIBRARIES.map((library) => `-l:${library}`)],
      // The libraries lie beside the addon, wherever the folder is moved. They find CUDA by a path of their own,
      // $ORIGIN/../nvidia/<component>/lib.
      '-Wl,-rpath,$ORIGIN',
      ...['-o', join(folder, ADDON_PATH)],
    ],
    { signal },
  );
  if (!run.ok) {
    throw new BackendError(
      `g++ could not compile the native part of ${tfjsNode.name} (${tellingLine(run)}). It needs g++ 9 or newer: \`g++ --version\`.`,
    );
  }
}

/** How the kernels are compiled. Products and sums become one instruction where there is one: GCC's default without -std. */
export const KERNEL_FLAGS = ['-std=c++17', '-O3', '-ffp-contract=fast', '-pthread'] as const;

/**
 * Compiles our own ops against the TensorFlow beside `addon`. One file runs on every processor of the architecture: the
 * sources say by function what they need beyond its baseline, and choose when they run.
 */
export async function compileFusedOps(tensorflow: string, addon: string, signal?: AbortSignal): Promise<void> {
  const sources = fusedSources();
  if (!sources) throw new BackendError('The sources of the fused ops are not there: install delta-dit again.');
  const part = dirname(addon);
  const run = await runTool(
    'g++',
    [
      ...KERNEL_FLAGS,
      ...['-fPIC', '-shared', '-fvisibility=hidden'],
      ...['-DNAPI_VERSION=8', `-DDELTA_DIT_TENSORFLOW="${tensorflow}"`],
      ...[`-I${join(part, 'include')}`, `-I${nodeHeaders()}`],
      ...sources.files.filter((file) => file.endsWith('.cc')).map((file) => join(sources.folder, file)),
      ...[`-L${part}`, '-l:libtensorflow_framework.so.2', '-Wl,-rpath,$ORIGIN'],
      ...['-o', addon],
    ],
    { signal },
  );
  if (run.ok) return;
  const reason = run.found ? tellingLine(run) : 'there is no g++: on Debian or Ubuntu `sudo apt install g++`';
  throw new BackendError(`g++ could not compile the fused ops (${reason})`);
}

function nodeHeaders(): string {
  return join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
}
