import { TFJS_VERSION } from '../backends/backend.ts';
import { type Device, type NativeRecipe, RECIPES } from './setup-wheels.ts';

export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** Version of the GNU C library, e.g. "2.36"; undefined on other C libraries such as musl. */
  readonly glibc: string | undefined;
}

/** What the native part for a machine is made of, or why there is none and what to do instead. */
export function recipeFor(machine: Machine, device: Device = 'cpu'): { recipe: NativeRecipe } | { refusal: string } {
  const command = device === 'gpu' ? 'setup-native --gpu' : 'setup-native';
  if (machine.platform !== 'linux') {
    const name = { darwin: 'macOS', win32: 'Windows' }[machine.platform] ?? machine.platform;
    return { refusal: `${command} works on Linux only, and this is ${name}. ${elsewhere(machine, device)}` };
  }
  const recipe = RECIPES[device][machine.arch];
  if (!recipe) return { refusal: noRecipe(machine, device) };
  if (!machine.glibc || !isAtLeast(machine.glibc, [2, 27])) {
    const got = machine.glibc ? `glibc ${machine.glibc}` : 'another C library (musl, as on Alpine?)';
    return {
      refusal: `TensorFlow ${recipe.tensorflow} needs glibc 2.27 or newer, and this system has ${got}. Use the backend wasm.`,
    };
  }
  return { recipe };
}

export function recipeForThisMachine(device: Device = 'cpu'): ReturnType<typeof recipeFor> {
  return recipeFor({ platform: process.platform, arch: process.arch, glibc: glibcVersion() }, device);
}

/** TensorFlow has had no CUDA on macOS since 1.1 and on Windows since 2.10; tfjs-node-gpu is built for 2.9 and CUDA 11.2. */
function elsewhere({ platform }: Machine, device: Device): string {
  if (device === 'gpu' && platform !== 'win32') return 'There is no TensorFlow with CUDA for it: leave --gpu out.';
  const suffix = device === 'gpu' ? '-gpu' : '';
  return `Install the prebuilt package instead: \`npm install @tensorflow/tfjs-node${suffix}@${TFJS_VERSION}\`.`;
}

function noRecipe({ arch }: Machine, device: Device): string {
  if (device === 'gpu' && RECIPES.cpu[arch]) {
    return `There is no TensorFlow with CUDA for Linux on ${arch}, only on x64. Leave --gpu out.`;
  }
  return `There is no TensorFlow for Linux on ${arch}, only on x64 and arm64. Use the backend wasm.`;
}

function glibcVersion(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  // With its network part a report looks up the names of the machine's addresses, which can take minutes.
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime;
  } finally {
    report.excludeNetwork = before ?? false;
  }
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [gotMajor = 0, gotMinor = 0] = version.split('.').map(Number);
  return gotMajor > major || (gotMajor === major && gotMinor >= minor);
}
