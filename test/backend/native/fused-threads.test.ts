import { existsSync } from 'node:fs';
import { fusedAddonPath } from '../../../src/backend/native/fused-addon.ts';
import { runTool } from '../../../src/backend/native/run-tool.ts';
import { findTfjsNode, hasNativePart } from '../../../src/backend/native/tfjs-node-package.ts';
import { unchecked } from '../../unchecked.ts';

/** Computes four ops on all threads, and prints a hash of their outputs. */
const SCRIPT = `
const util = require('node:util');
Object.assign(util, { isNullOrUndefined: (v) => v == null, isArray: Array.isArray });
const [, folder, path, workers] = process.argv;
const { createHash } = require('node:crypto');
const threads = require('node:worker_threads');
function compute() {
  const tf = require(folder);
  const addon = require(path);
  addon.register();
  const b = tf.backend();
  const numbers = (shape) => tf.tensor(Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => Math.sin(i * 0.37) * 2), shape);
  const heads = [{ name: 'num_heads', type: b.binding.TF_ATTR_INT, value: 4 }];
  const groups = [{ name: 'num_groups', type: b.binding.TF_ATTR_INT, value: 4 }];
  const three = [{ name: 'N', type: b.binding.TF_ATTR_INT, value: 3 }, { name: 'bias', type: b.binding.TF_ATTR_BOOL, value: true }];
  const hash = createHash('sha256').update(addon.instructions());
  for (let i = 0; i < 20; i++) {
    hash.update(b.executeSingleOutput('DeltaDitSelfAttention', heads, [numbers([2, 150, 3 * 64])]).dataSync());
    for (const rows of [3, 130]) hash.update(b.executeSingleOutput('DeltaDitLinear', three, [numbers([rows, 310]), numbers([310, 230]), numbers([230])]).dataSync());
    hash.update(b.executeSingleOutput('DeltaDitGelu', [], [numbers([100, 700])]).dataSync());
    hash.update(b.executeMultipleOutputs('DeltaDitGroupMoments', groups, [numbers([2, 60, 50, 16])], 2)[1].dataSync());
  }
  return addon.instructions() + ' ' + hash.digest('hex');
}
if (workers) {
  const { Worker } = threads;
  const source = 'process.argv = ' + JSON.stringify(['', folder, path]) + ';' + compute + "const { createHash } = require('node:crypto'); const [, folder, path] = process.argv; require('node:worker_threads').parentPort.postMessage(compute());";
  const answers = Array.from({ length: Number(workers) }, () => new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true });
    worker.on('message', resolve);
    worker.on('error', reject);
  }));
  Promise.all(answers).then((all) => { console.log(all.join('\\n')); process.exit(0); });
} else {
  console.log(compute());
  process.exit(0);
}`;

const tfjsNode = findTfjsNode().find(hasNativePart);
const addon = tfjsNode && fusedAddonPath(tfjsNode);
const isThere = addon !== undefined && existsSync(addon);

async function compute(env: Record<string, string>, workers = ''): Promise<string[]> {
  const args = ['-e', SCRIPT, tfjsNode?.folder ?? '', addon ?? '', workers];
  const run = await runTool(process.execPath, args, { env: { TF_CPP_MIN_LOG_LEVEL: '3', ...env }, timeLimit: 100_000 });
  expect(run.ending).toBe('exit code 0');
  return run.stdout.trim().split('\n');
}

beforeAll(() => {
  if (!isThere) unchecked('the threads of the fused ops: `npm run setup-native` says what they need');
});

it('the numbers do not depend on how many threads there are, and the process ends', async () => {
  if (!isThere) return;
  const [alone] = await compute({ TF_NUM_INTRAOP_THREADS: '1' });
  for (const threads of ['2', '7']) expect(await compute({ TF_NUM_INTRAOP_THREADS: threads })).toEqual([alone]);
});

it('threads of Node compute side by side', async () => {
  if (!isThere) return;
  const [alone] = await compute({});
  expect(await compute({}, '3')).toEqual([alone, alone, alone]);
});

it('DELTA_DIT_CPU chooses a lower instruction set; one that the processor lacks is not taken', async () => {
  if (!isThere) return;
  expect((await compute({ DELTA_DIT_CPU: 'plain' }))[0]).toMatch(/^plain /);
  expect(await compute({ DELTA_DIT_CPU: 'no such' })).toEqual(await compute({}));
});
