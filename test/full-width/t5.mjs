// T5 v1.1-XXL in its full shapes against transformers, layer by layer from disk, by command only (2.1 GB of disk):
//   python test/fixtures/make_t5_xxl.py --out DIR       # torch; writes text_encoder/ and transformers' output for a prompt
//   npm run build && node test/full-width/t5.mjs DIR [--backend tensorflow]
import { join } from 'node:path';
import { memoryUsage, resourceUsage } from 'node:process';
import { openT5, StreamedT5Encoder, useBackend } from '../../dist/index.mjs';
import { readFixture, relativeL2 } from './reference.mjs';

const [folder = '.', , backend] = process.argv.slice(2);
/** Above the idle process; half a layer is 0.5 GB. */
const MOST_BYTES = 2e9;
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(2)} GB`;

const report = await useBackend(backend);
console.log(report.description);
const fixture = readFixture(join(folder, 'forward.safetensors'));
const prompt = { inputIds: fixture['input.ids'].values, attentionMask: fixture['input.mask'].values };
const checkpoint = await openT5(join(folder, 'text_encoder'));
const t5 = new StreamedT5Encoder(checkpoint.config, checkpoint.archive);

const idle = memoryUsage.rss();
const start = performance.now();
const features = await t5.encode([prompt], {
  onLayer: ({ layer, layers }) => {
    const passed = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`layer ${layer + 1} of ${layers}: ${passed} s, RSS ${gigabytes(memoryUsage.rss())}`);
  },
});
const above = resourceUsage().maxRSS * 1024 - idle;
console.log(
  `${prompt.inputIds.length} tokens in ${((performance.now() - start) / 1000).toFixed(1)} s; RSS ${gigabytes(idle)} idle, ` +
    `at its peak ${gigabytes(above)} above that`,
);
const error = relativeL2(await features.data(), fixture.output.values);
console.log(`relative L2 error to transformers ${error.toExponential(2)}`);
await checkpoint.close();
if (!(error <= 1e-4 && above <= MOST_BYTES)) process.exitCode = 1;
