// The shipped autoencoder on a picture of 1024 px, whole and in bands of rows, by command only:
//   npm run build && node test/full-width/vae.mjs [--pixels 1024] [--backend tensorflow]
// Prints seconds, peak memory above idle and the PSNR of the two; fails below 50 dB.
import { readFileSync } from 'node:fs';
import { memoryUsage } from 'node:process';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { DECODE_TILE_BUDGET, loadAutoencoder } from '../../dist/index.mjs';

const { values } = parseArgs({ options: { pixels: { type: 'string', default: '1024' }, backend: { type: 'string' } } });
const MINIMUM_PSNR = 50;
const side = Number(values.pixels);

/** The most that this process has held so far, where Linux says so. */
function peakMemory() {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return line ? Number(line[1]) * 1024 : memoryUsage.rss();
}

async function measured(name, decode) {
  const start = performance.now();
  const image = await decode();
  const pixels = await image.data();
  image.dispose();
  const took = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${name}: ${took} s, peak ${((peakMemory() - idle) / 1e9).toFixed(2)} GB above idle so far`);
  return pixels;
}

const vae = await loadAutoencoder('checkpoints/dit-emoji', { backend: values.backend });
const latent = side / vae.scale;
// smooth and rough at once: a small field enlarged, and noise on it
const z = tf.tidy(() => {
  const coarse = tf.image.resizeBilinear(tf.randomNormal([1, latent / 16, latent / 16, 4], 0, 1, 'float32', 1), [
    latent,
    latent,
  ]);
  return tf.add(coarse, tf.randomNormal([1, latent, latent, 4], 0, 0.3, 'float32', 2));
});
const idle = memoryUsage.rss();
// bands first: the peak only grows
const bands = await measured(`${side} px in bands of ${DECODE_TILE_BUDGET / 2 ** 20} MiB`, () => vae.decodeTiled(z));
const whole = await measured(`${side} px whole`, async () => vae.decode(z));
const unit = (value) => Math.min(1, Math.max(0, value / 2 + 0.5));
const mse = whole.reduce((sum, value, i) => sum + (unit(value) - unit(bands[i])) ** 2, 0) / whole.length;
const psnr = -10 * Math.log10(mse);
console.log(`PSNR of the two: ${psnr.toFixed(1)} dB`);
if (!(psnr >= MINIMUM_PSNR)) process.exitCode = 1;
z.dispose();
vae.dispose();
