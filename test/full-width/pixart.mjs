// One guided step of PixArt-XL/2 with random weights, by command only (it needs about 2.5 GB for the weights):
//   npm run build && node test/full-width/pixart.mjs [--pixels 512 1024] [--backend tensorflow]
// Prints seconds and peak memory; fails when a number is not finite.
import { readFileSync } from 'node:fs';
import { memoryUsage } from 'node:process';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { PIXART_XL_2, PixArt, pixArtCost, useBackend, Weights } from '../../dist/index.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pixels: { type: 'string', multiple: true }, backend: { type: 'string' } },
});
const sizes = [...(values.pixels ?? []), ...positionals].map(Number);
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(2)} GB`;
const seconds = (from) => ((performance.now() - from) / 1000).toFixed(1);

/** The most that this process has held since `resetPeak`, where Linux says so. */
function peakMemory() {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return line ? Number(line[1]) * 1024 : memoryUsage.rss();
}

/** Uniform numbers from a xorshift, deviation `scale`: fast, and no two alike. */
function uniform(count, scale, seed) {
  const numbers = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    numbers[i] = (state / 2 ** 31) * Math.sqrt(3) * scale;
  }
  return numbers;
}

/** Tensors that are drawn as they are read: kernels keep activations of order one, the rest is small. */
function randomArchive(shapes) {
  let seed = 1;
  const tensors = [...shapes].map(([name, shape]) => {
    const fanIn = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const scale = name.endsWith('kernel') ? fanIn ** -0.5 : 0.1;
    const own = seed++;
    const read = async () =>
      new Uint8Array(
        uniform(
          shape.reduce((a, b) => a * b, 1),
          scale,
          own,
        ).buffer,
      );
    return [name, { name, dtype: 'F32', shape, read }];
  });
  return { name: 'random', tensors: new Map(tensors), metadata: new Map(), close: async () => {} };
}

async function step(pixels) {
  const inputSize = pixels / 8;
  const micro = pixels === 1024;
  const config = { ...PIXART_XL_2, inputSize, interpolationScale: micro ? 2 : 1, microConditions: micro };
  const weights = new Weights(randomArchive(PixArt.parameterShapes(config)));
  let start = performance.now();
  const pixart = await PixArt.fromWeights(config, weights);
  weights.dispose();
  const built = memoryUsage.rss();
  console.log(`${pixels} px: ${pixart.countParams()} parameters in ${seconds(start)} s, RSS ${gigabytes(built)}`);
  const embeds = tf.randomNormal([2, 120, config.captionChannels], 0, 0.1, 'float32', 1);
  const mask = tf.tensor2d(
    [0, 1].flatMap((prompt) => Array.from({ length: 120 }, (_, i) => (i < 1 + 20 * prompt ? 1 : 0))),
    [2, 120],
  );
  const half = tf.randomNormal([1, inputSize, inputSize, 4], 0, 1, 'float32', 2);
  const x = tf.concat([half, half]);
  const caption = pixart.projectCaption(embeds, mask);
  start = performance.now();
  const size = micro ? { height: pixels, width: pixels, aspectRatio: 1 } : undefined;
  const out = await pixart.predict(x, [500, 500], caption, { size });
  const numbers = await out.data();
  const took = seconds(start);
  const { depth, blockLinear, blockAttention, ends } = pixArtCost(config);
  const gmacs = (2 * (depth * (blockLinear + blockAttention) + ends)) / 1e9;
  const finite = numbers.every(Number.isFinite);
  console.log(
    `${pixels} px: one guided step in ${took} s (${gmacs.toFixed(0)} GMACs), peak RSS ${gigabytes(peakMemory())}, ` +
      `${gigabytes(peakMemory() - built)} above the model, ${finite ? 'all finite' : 'NOT FINITE'}`,
  );
  if (!finite) process.exitCode = 1;
  tf.dispose([embeds, mask, half, x, out, caption.tokens, caption.bias]);
  pixart.dispose();
}

const report = await useBackend(values.backend);
console.log(report.description);
for (const pixels of sizes.length > 0 ? sizes : [512, 1024]) await step(pixels);
