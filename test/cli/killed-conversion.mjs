// Converts with the built library and stops for ever in the middle of writing: killed-conversion.mjs <from> <vae> <out>
import { writeSync } from 'node:fs';
import { convertCheckpoint } from '../../dist/index.mjs';

const [from, vae, out] = process.argv.slice(2);
let tensors = 0;
await convertCheckpoint({
  from,
  vae,
  out,
  numHeads: 4,
  force: true,
  onProgress: () => {
    tensors += 1;
    if (tensors < 30) return;
    writeSync(1, 'writing');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
