import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { ROOT } from './source-imports.ts';

/** Where the .wasm files are in the package, and what they are called. */
export const WASM_FOLDER = join(ROOT, 'node_modules/@tensorflow/tfjs-backend-wasm/dist');

/** Bundles an app as `esbuild --bundle --minify` does, into a folder. @returns its warnings */
export async function bundleWithEsbuild(app: string, to: string): Promise<string> {
  const { warnings } = await build({
    entryPoints: [join(ROOT, app, 'main.js')],
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    outdir: to,
    logLevel: 'silent',
  });
  mkdirSync(to, { recursive: true });
  copyFileSync(join(ROOT, app, 'index.html'), join(to, 'index.html'));
  return warnings.map(({ text }) => text).join('\n');
}

/** Bundles an app as `vite build` does, into a folder. @returns all that it says */
export async function bundleWithVite(app: string, to: string): Promise<string> {
  const args = ['node_modules/vite/bin/vite.js', 'build', app, '--outDir', to, '--emptyOutDir', '--base', './'];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  return stdout + stderr;
}
