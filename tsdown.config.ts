import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { defineConfig } from 'tsdown';

const RAW = /\?raw$/;

/** `import text from 'file?raw'`: the file as text, as vite knows it. */
const rawText = {
  name: 'raw-text',
  resolveId: (id: string) =>
    RAW.test(id)
      ? createRequire(import.meta.url)
          .resolve(id.replace(RAW, ''))
          .concat('?raw')
      : undefined,
  load: (id: string) =>
    RAW.test(id) ? `export default ${JSON.stringify(readFileSync(id.replace(RAW, ''), 'utf8'))};` : undefined,
};

export default defineConfig([
  {
    entry: { index: 'src/index.ts', cli: 'src/cli/main.ts' },
    format: ['esm', 'cjs'],
    platform: 'node',
    target: 'node20',
    dts: true,
    shims: true,
    clean: true,
    sourcemap: false,
  },
  {
    // imports that begin with # lead to the files named *.browser.ts
    entry: { index: 'src/index.ts' },
    outDir: 'dist/browser',
    format: ['esm'],
    platform: 'browser',
    plugins: [rawText],
    deps: { alwaysBundle: RAW },
    target: 'es2022',
    dts: false,
    clean: false,
    sourcemap: false,
  },
]);
