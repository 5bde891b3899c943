#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const build = new URL('../dist/cli.mjs', import.meta.url);
if (existsSync(fileURLToPath(build))) {
  const { main } = await import(build.href);
  await main(process.argv);
} else {
  console.error('delta-dit is not built yet: run "npm run build"');
  process.exitCode = 1;
}
