import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import { ROOT } from './source-imports.ts';

/** WebGPU on the processor, by SwiftShader, which Chromium carries. */
export const WEBGPU_FLAGS: readonly string[] = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--use-vulkan=swiftshader',
];

const DEBIAN = '/usr/bin/chromium';
const PACKAGE = 'node_modules/@sparticuz/chromium';

/**
 * A headless Chromium: Debian's where it is, or the program of DELTA_DIT_CHROMIUM; else that of @sparticuz/chromium, which
 * is unpacked once, for Linux on x86-64.
 */
export async function launchChromium(flags: readonly string[] = []): Promise<Browser> {
  const own = process.env.DELTA_DIT_CHROMIUM ?? (existsSync(DEBIAN) ? DEBIAN : undefined);
  const { executablePath, env } = own ? { executablePath: own, env: {} } : await unpackedChromium();
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', ...flags],
    env: { ...process.env, ...env } as Record<string, string>,
  });
}

/** Whether `launchChromium` has something to launch. */
export const HAS_CHROMIUM =
  process.env.DELTA_DIT_CHROMIUM !== undefined ||
  existsSync(DEBIAN) ||
  (process.platform === 'linux' && process.arch === 'x64' && existsSync(join(ROOT, PACKAGE)));

const UNPACK = `
import chromium, { inflate } from '@sparticuz/chromium';
await chromium.executablePath();
await inflate('${PACKAGE}/bin/al2023.tar.br');
`;

interface Unpacked {
  readonly executablePath: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The package unpacks into the folder of temporary files; it is given one of its own, which appears whole. */
async function unpackedChromium(): Promise<Unpacked> {
  const { version } = JSON.parse(readFileSync(join(ROOT, PACKAGE, 'package.json'), 'utf8'));
  const folder = join(tmpdir(), `delta-dit-chromium-${version}`);
  if (!existsSync(folder)) {
    const unfinished = mkdtempSync(`${folder}-`);
    const env = { ...process.env, TMPDIR: unfinished };
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', UNPACK], { cwd: ROOT, env });
    try {
      renameSync(unfinished, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
      rmSync(unfinished, { recursive: true });
    }
  }
  const libraries = join(folder, 'al2023', 'lib');
  return {
    executablePath: join(folder, 'chromium'),
    env: {
      LD_LIBRARY_PATH: [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
      FONTCONFIG_PATH: join(folder, 'fonts'),
    },
  };
}
