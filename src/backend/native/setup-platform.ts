import { TFJS_VERSION } from '../backends/backend.ts';

/** A Python wheel that carries the C library of TensorFlow. */
export interface TensorFlowWheel {
  readonly package: string;
  readonly version: string;
  /** pip's names for the machine and for a Python that the wheel exists for; the local Python does not matter. */
  readonly platform: string;
  readonly python: string;
  /** Bytes to download, and bytes of the parts that are kept. */
  readonly downloadSize: number;
  readonly unpackedSize: number;
}

export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** Version of the GNU C library, e.g. "2.36"; undefined on other C libraries such as musl. */
  readonly glibc: string | undefined;
}

const WHEELS: Readonly<Record<string, TensorFlowWheel>> = {
  x64: {
    package: 'tensorflow-cpu',
    version: '2.21.0',
    platform: 'manylinux_2_27_x86_64',
    python: '3.11',
    downloadSize: 274e6,
    unpackedSize: 854e6,
  },
  // There is no tensorflow-cpu for arm64; the plain package has no CUDA part there.
  arm64: {
    package: 'tensorflow',
    version: '2.21.0',
    platform: 'manylinux_2_27_aarch64',
    python: '3.11',
    downloadSize: 282e6,
    unpackedSize: 900e6,
  },
};

/** The wheel for a machine, or why there is none and what to do instead. */
export function wheelFor(machine: Machine): { wheel: TensorFlowWheel } | { refusal: string } {
  const stock = `npm install @tensorflow/tfjs-node@${TFJS_VERSION}`;
  if (machine.platform !== 'linux') {
    const name = { darwin: 'macOS', win32: 'Windows' }[machine.platform] ?? machine.platform;
    return {
      refusal: `setup-native works on Linux only, and this is ${name}. Install the prebuilt package instead: \`${stock}\`.`,
    };
  }
  const wheel = WHEELS[machine.arch];
  if (!wheel) {
    return {
      refusal: `There is no TensorFlow for Linux on ${machine.arch}, only on x64 and arm64. Use the backend wasm.`,
    };
  }
  if (!machine.glibc || !isAtLeast(machine.glibc, [2, 27])) {
    const got = machine.glibc ? `glibc ${machine.glibc}` : 'another C library (musl, as on Alpine?)';
    return {
      refusal: `TensorFlow ${wheel.version} needs glibc 2.27 or newer, and this system has ${got}. Use the backend wasm.`,
    };
  }
  return { wheel };
}

export function wheelForThisMachine(): ReturnType<typeof wheelFor> {
  return wheelFor({ platform: process.platform, arch: process.arch, glibc: glibcVersion() });
}

function glibcVersion(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime;
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [gotMajor = 0, gotMinor = 0] = version.split('.').map(Number);
  return gotMajor > major || (gotMajor === major && gotMinor >= minor);
}
