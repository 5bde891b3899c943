#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const build = fileURLToPath(new URL('../dist/cli.cjs', import.meta.url));
if (existsSync(build)) {
  // CommonJS, as TensorFlow.js is on Node: imported from ES modules, it is parsed twice, and the start takes twice as long
  const { main } = createRequire(import.meta.url)(build);
  await main(process.argv);
} else {
  console.error('delta-dit is not built yet: run "npm run build"');
  process.exitCode = 1;
}
