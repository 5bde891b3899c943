import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BackendError } from '../../errors.ts';

/** npm `webgpu`: Dawn, the WebGPU of Chromium, as an add-on of Node. */
export interface DawnPackage {
  readonly folder: string;
  readonly version: string;
  /** The part of it that is made for this machine. */
  readonly addon: string;
}

/** Where it lies, as seen from this library; it may have nothing for this machine. */
export function findDawn(): DawnPackage | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve('webgpu/package.json');
    const folder = dirname(manifest);
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    const arch = process.platform === 'darwin' ? 'universal' : process.arch;
    return { folder, version, addon: join(folder, 'dist', `${process.platform}-${arch}`, 'dawn.node') };
  } catch {
    return undefined;
  }
}

export function runsHere({ addon }: DawnPackage): boolean {
  return existsSync(addon);
}

/** Separates Dawn's options in the variable, since they hold commas and spaces. */
const SEPARATOR = ';';

/** What `DELTA_DIT_DAWN` asks of Dawn, such as "backend=vulkan;adapter=NVIDIA". */
export function dawnOptions(): string[] {
  const options = process.env.DELTA_DIT_DAWN?.split(SEPARATOR) ?? [];
  return options.map((option) => option.trim()).filter((option) => option !== '');
}

/** What there may be to do where Dawn finds no adapter. */
export function noAdapterAdvice(): string {
  if (process.platform !== 'linux') return 'Take another backend.';
  return (
    'On Linux it needs the Vulkan loader (libvulkan.so.1: `apt-get install libvulkan1`) and the driver of the GPU; ' +
    '`vulkaninfo --summary` lists what is there, VK_ICD_FILENAMES names a driver elsewhere. Or take another backend.'
  );
}

/**
 * Held until the process ends, by the options that it was made with: Dawn crashes when its instance is collected before
 * what was made with it.
 */
const instances = new Map<string, GPU>();

/**
 * Loads Dawn and gives tfjs the names that a browser has, such as GPUBufferUsage; those that are there are left alone.
 * @param options Dawn's own
 * @throws BackendError when it cannot be loaded, or does not know an option.
 */
export async function loadDawn(options: readonly string[]): Promise<GPU> {
  const key = options.join(SEPARATOR);
  const made = instances.get(key);
  if (made) return made;
  try {
    const { create, globals } = await import('webgpu');
    for (const [name, value] of Object.entries(globals)) {
      if (!(name in globalThis)) Object.assign(globalThis, { [name]: value });
    }
    const gpu = create([...options]);
    instances.set(key, gpu);
    return gpu;
  } catch (error) {
    throw new BackendError(`Dawn (npm webgpu) cannot be loaded: ${String(error)}. Take another backend.`, {
      cause: error,
    });
  }
}
