// DiT-XL/2 at full width against PyTorch, by command only (it needs 2.7 GB of disk and about 6 GB of memory):
//   python test/fixtures/make_xl.py --out DIR       # torch; writes dit-xl.pt and PyTorch's output of one forward
//   npm run build && node test/full-width/run.mjs DIR [--backend tensorflow]
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { memoryUsage } from 'node:process';
import * as tf from '@tensorflow/tfjs-core';
import { convertCheckpoint, DiT, openDiT, useBackend, Weights } from '../../dist/index.mjs';
import { readFixture, relativeL2 } from './reference.mjs';

const [folder = '.', , backend] = process.argv.slice(2);
const vae = new URL('../fixtures/parity/dit-tiny-diffusers', import.meta.url).pathname;
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(2)} GB`;
const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`;

async function forward(checkpoint, fixture) {
  const weights = new Weights(checkpoint.transformer.archive);
  let start = performance.now();
  const dit = await DiT.fromWeights(checkpoint.transformer.config, weights);
  console.log(
    `read ${(dit.countParams() / 1e6).toFixed(1)} M parameters in ${seconds(start)}, RSS ${gigabytes(memoryUsage.rss())}`,
  );
  const nchw = tf.tensor4d(fixture['input.latents'].values, fixture['input.latents'].shape);
  const x = tf.transpose(nchw, [0, 2, 3, 1]);
  start = performance.now();
  const out = await dit.predict(x, [...fixture['input.timesteps'].values], [...fixture['input.labels'].values]);
  const got = await tf.transpose(out, [0, 3, 1, 2]).data();
  console.log(`one forward, batch ${x.shape[0]}: ${seconds(start)}`);
  dit.dispose();
  weights.dispose();
  return got;
}

const report = await useBackend(backend);
console.log(report.description);
const fixture = readFixture(join(folder, 'dit-xl-forward.safetensors'));
const source = join(folder, 'dit-xl.pt');
const converted = join(folder, 'converted');
rmSync(converted, { recursive: true, force: true });
const start = performance.now();
await convertCheckpoint({ from: source, out: converted, vae, dtype: 'float32' });
console.log(`converted ${gigabytes(statSync(source).size)} in ${seconds(start)}, RSS ${gigabytes(memoryUsage.rss())}`);
for (const [what, path] of [
  ['.pt', source],
  ['converted', converted],
]) {
  const checkpoint = await openDiT(path, { vae });
  const error = relativeL2(await forward(checkpoint, fixture), fixture.output.values);
  await checkpoint.close();
  console.log(`${what}: relative L2 error to PyTorch ${error.toExponential(2)}`);
  if (!(error <= 1e-4)) process.exitCode = 1;
}
