import { runTool, tellingLine } from './run-tool.ts';
import type { TfjsNodePackage } from './tfjs-node-package.ts';

export type Probe =
  | { readonly works: true; readonly tensorflow: string; readonly gpu: boolean }
  | { readonly works: false; readonly reason: string };

/**
 * Loads a tfjs-node in a process of its own and multiplies two matrices: a native part that does not fit the machine
 * ends the process, which must not be ours.
 */
export async function probeTfjsNode({ folder }: TfjsNodePackage, signal?: AbortSignal): Promise<Probe> {
  const run = await runTool(process.execPath, ['-e', PROBE, folder], { env: QUIET, signal });
  const answer = run.stdout.split('\n').find((line) => line.startsWith(MARK));
  if (run.ok && answer)
    return { works: true, ...(JSON.parse(answer.slice(MARK.length)) as { tensorflow: string; gpu: boolean }) };
  // TensorFlow's wheels need AVX; the processor answers the first such instruction with this signal.
  if (run.ending === 'signal SIGILL')
    return { works: false, reason: 'this processor lacks instructions that it needs (AVX)' };
  return { works: false, reason: tellingLine(run) };
}

/** Whether a native part can be loaded by itself, whatever the package around it does. */
export async function canLoad(addon: string, signal?: AbortSignal): Promise<boolean> {
  const run = await runTool(process.execPath, ['-e', 'require(process.argv[1])', addon], { env: QUIET, signal });
  return run.ok;
}

const QUIET = { TF_CPP_MIN_LOG_LEVEL: '3', NODE_OPTIONS: '' };
const MARK = 'delta-dit probe ';
const PROBE = `
const util = require('node:util');
Object.assign(util, { isNullOrUndefined: (v) => v == null, isArray: Array.isArray });
const tf = require(process.argv[1]);
tf.matMul([[1, 2]], [[3], [4]]).data().then(([product]) => {
  const { binding, isUsingGpuDevice } = tf.backend();
  if (product !== 11) throw new Error('1*3 + 2*4 gave ' + product);
  console.log('${MARK}' + JSON.stringify({ tensorflow: binding.TF_Version, gpu: isUsingGpuDevice }));
});`;
