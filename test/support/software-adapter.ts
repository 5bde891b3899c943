import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { runInThisContext } from 'node:vm';
import { createBrotliDecompress } from 'node:zlib';
import { backend } from '@tensorflow/tfjs-core';

/**
 * A WebGPU adapter that every x86-64 Linux has: SwiftShader, a Vulkan driver that computes on the CPU, from the npm
 * package of a headless Chromium. Dawn (npm `webgpu`) finds it through these variables, the loader included.
 */
export interface SoftwareAdapter {
  readonly folder: string;
  /** For a child process. */
  readonly environment: { readonly VK_ICD_FILENAMES: string; readonly LD_LIBRARY_PATH: string };
}

export const SOFTWARE_ADAPTER_RUNS = process.platform === 'linux' && process.arch === 'x64';

const DRIVER = 'vk_swiftshader_icd.json';
const LOADER = 'libvulkan.so.1';
const FILES = [DRIVER, LOADER, 'libvk_swiftshader.so'];

/** Unpacks the driver, once per machine and version of the package. */
export async function softwareAdapter(): Promise<SoftwareAdapter> {
  if (!SOFTWARE_ADAPTER_RUNS) throw new Error(`SwiftShader is there for Linux on x64 only, not ${process.platform}`);
  const installed = dirname(dirname(createRequire(__filename).resolve('@sparticuz/chromium')));
  const { version } = createRequire(__filename)(join(installed, 'package.json')) as { version: string };
  const folder = join(tmpdir(), `delta-dit-swiftshader-${version}-${process.getuid?.() ?? 0}`);
  if (!existsSync(join(folder, DRIVER))) await unpack(join(installed, 'bin', 'swiftshader.tar.br'), folder);
  return { folder, environment: { VK_ICD_FILENAMES: join(folder, DRIVER), LD_LIBRARY_PATH: folder } };
}

/** Makes it the only Vulkan driver of this process. Before Dawn asks for an adapter for the first time. */
export async function useSoftwareAdapter(): Promise<SoftwareAdapter> {
  const adapter = await softwareAdapter();
  // jest gives tests a copy of `process.env`; C reads the real one.
  const outer = runInThisContext('process') as typeof process;
  outer.env.VK_ICD_FILENAMES = adapter.environment.VK_ICD_FILENAMES;
  keepLoaded(outer, join(adapter.folder, LOADER));
  return adapter;
}

/** Of the running backend, which is webgpu. */
export function currentDevice(): GPUDevice {
  return (backend() as unknown as { readonly device: GPUDevice }).device;
}

/** dlopen's "never unload", which Node has no name for. */
const RTLD_NODELETE = 0x1000;

/**
 * The dynamic linker reads LD_LIBRARY_PATH when a process starts; a library that is already loaded is found by its
 * name. Node loads it, finds no add-on in it, says so, and with this flag cannot unload it.
 */
function keepLoaded(outer: typeof process, library: string): void {
  try {
    outer.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch (error) {
    if (!/did not self-register/.test(String(error))) throw error;
  }
}

/** Into a folder of its own, then renamed: test files run beside each other. */
async function unpack(archive: string, folder: string): Promise<void> {
  const partial = mkdtempSync(`${folder}-`);
  const tar = spawn('tar', ['-x', '-C', partial, ...FILES], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(tar, 'close');
  await pipeline(createReadStream(archive), createBrotliDecompress(), tar.stdin);
  const [code] = await ended;
  if (code !== 0) throw new Error(`tar ended with ${code} on ${archive}`);
  try {
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(join(folder, DRIVER))) throw error;
  }
}
