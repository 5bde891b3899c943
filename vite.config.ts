import { cp, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

/** The page of src/web: `npm run web`. */

const ROOT = import.meta.dirname;
const OUT = join(ROOT, 'dist-web');
const MODELS = ['dit-emoji', 'pixart-emoji', 'pixart-emoji-lcm'];

/** Threads of WebAssembly need a page that shares its process with no other site. */
const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** What the build takes longest for is no one's concern. */
const QUIET = { checks: { pluginTimings: false } };

/** Lays beside the page what it fetches as it runs: checkpoints, and tfjs' .wasm files. */
function fetchedFiles(): Plugin {
  const wasm = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  return {
    name: 'fetched-files',
    writeBundle: async ({ dir = OUT }) => {
      await cp(join(wasm, 'wasm-out'), join(dir, 'wasm'), {
        recursive: true,
        filter: (path) => !/\.(js|ts|map)$/.test(path),
      });
      for (const model of MODELS)
        await cp(join(ROOT, 'checkpoints', model), join(dir, 'checkpoints', model), {
          recursive: true,
          filter: (path) => !['train', 'README.md'].includes(basename(path)) && !path.endsWith('.png'),
        });
    },
  };
}

const readJson = async (...path: readonly string[]) => JSON.parse(await readFile(join(ROOT, ...path), 'utf8'));

export default defineConfig(async () => {
  const { version } = await readJson('package.json');
  const manifests = MODELS.map(async (model) => [model, await readJson('checkpoints', model, 'manifest.json')]);
  return {
    root: join(ROOT, 'src/web'),
    base: './', // so that it can be put into any folder of a site
    define: {
      DELTA_DIT_VERSION: JSON.stringify(version),
      MANIFESTS: JSON.stringify(Object.fromEntries(await Promise.all(manifests))),
    },
    build: { outDir: OUT, emptyOutDir: true, target: 'es2022', rolldownOptions: QUIET },
    worker: { format: 'es' as const, rolldownOptions: QUIET },
    plugins: [fetchedFiles()],
    preview: { headers: ISOLATED, port: 4173 },
  };
});
