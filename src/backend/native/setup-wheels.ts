/** The two halves of the C library: one exports TFE_* and TF_Version, the other TF_NewTensor and the like. */
export const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const;

/** A Python wheel of which a native part takes files. */
export interface Wheel {
  readonly package: string;
  readonly version: string;
  /** Bytes to download, and bytes of the files that are kept. */
  readonly downloadSize: number;
  readonly unpackedSize: number;
  /** Paths in the wheel that are taken. They are kept as they are: pip would lay them so side by side. */
  readonly keeps: RegExp;
  /** Files without which the wheel is of no use. */
  readonly required: readonly string[];
}

export type Device = 'cpu' | 'gpu';

/** What a native part is made of. */
export interface NativeRecipe {
  readonly device: Device;
  /** The npm package that gets it. Both have the same binding; two packages let both parts stand side by side. */
  readonly npmPackage: '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';
  /** "2.21.0" */
  readonly tensorflow: string;
  /** pip's names for the machine and for a Python that the wheels exist for; the local Python does not matter. */
  readonly platforms: readonly string[];
  readonly python: string;
  readonly wheels: readonly Wheel[];
}

/** Of the wheel's 13,000 headers, the ones that the binding of tfjs-node includes, directly or not. */
const TENSORFLOW_FILES =
  /^tensorflow\/(libtensorflow_(cc|framework)\.so\.2|include\/(tensorflow\/c\/|tensorflow\/core\/platform\/ctstring|tsl\/platform\/ctstring|xla\/tsl\/c\/)[\w/.-]*\.h)$/;

/** Shared libraries, device code and the programs of the compiler, with their licences. */
const NVIDIA_FILES =
  /^(nvidia\/\w+\/(lib|nvvm)\/[\w/.+-]+\.(so|so\.[\d.]+|bc)|nvidia\/\w+\/bin\/[\w.-]+|[\w.-]+\.dist-info\/([\w.]+\/)*license[\w.]*)$/i;

/** TensorFlow 2.21.0; sizes of the wheels for CPython 3.11. */
export const RECIPES: Readonly<Record<Device, Readonly<Record<string, NativeRecipe>>>> = {
  cpu: {
    x64: {
      ...forCpu('manylinux_2_27_x86_64'),
      wheels: [tensorflow('tensorflow-cpu', 274e6, 854e6)],
    },
    // There is no tensorflow-cpu for arm64; the plain package has no CUDA part there.
    arm64: {
      ...forCpu('manylinux_2_27_aarch64'),
      wheels: [tensorflow('tensorflow', 282e6, 900e6)],
    },
  },
  gpu: {
    x64: {
      device: 'gpu',
      npmPackage: '@tensorflow/tfjs-node-gpu',
      tensorflow: '2.21.0',
      platforms: ['2_27', '2_25', '2_17', '2_12']
        .map((glibc) => `manylinux_${glibc}_x86_64`)
        .concat('manylinux2014_x86_64'),
      python: '3.11',
      // The libraries of CUDA 12.9.1, within what the extra `and-cuda` of tensorflow 2.21.0 asks for; TensorFlow uses all
      // of them or none. `required` are the names by which it loads them.
      wheels: [
        tensorflow('tensorflow', 573e6, 1261e6),
        nvidia('cublas', '12.9.1.4', 582e6, 856e6, 'lib/libcublas.so.12', 'lib/libcublasLt.so.12'),
        nvidia('cuda_cupti', '12.9.79', 11e6, 44e6, 'lib/libcupti.so.12'),
        nvidia('cuda_nvcc', '12.9.86', 41e6, 99e6, 'bin/ptxas', 'nvvm/libdevice/libdevice.10.bc'),
        nvidia('cuda_nvrtc', '12.9.86', 90e6, 228e6, 'lib/libnvrtc.so.12'),
        nvidia('cuda_runtime', '12.9.79', 4e6, 1e6, 'lib/libcudart.so.12'),
        nvidia('cudnn', '9.10.2.21', 707e6, 1054e6, 'lib/libcudnn.so.9'),
        nvidia('cufft', '11.4.1.4', 201e6, 294e6, 'lib/libcufft.so.11'),
        nvidia('curand', '10.3.10.19', 69e6, 168e6, 'lib/libcurand.so.10'),
        nvidia('cusolver', '11.7.5.82', 339e6, 496e6, 'lib/libcusolver.so.11'),
        nvidia('cusparse', '12.5.10.65', 367e6, 487e6, 'lib/libcusparse.so.12'),
        nvidia('nccl', '2.27.7', 323e6, 431e6, 'lib/libnccl.so.2'),
        nvidia('nvjitlink', '12.9.86', 40e6, 96e6, 'lib/libnvJitLink.so.12'),
      ],
    },
  },
};

function forCpu(platform: string): Omit<NativeRecipe, 'wheels'> {
  return {
    device: 'cpu',
    npmPackage: '@tensorflow/tfjs-node',
    tensorflow: '2.21.0',
    platforms: [platform],
    python: '3.11',
  };
}

function tensorflow(name: string, downloadSize: number, unpackedSize: number): Wheel {
  return {
    package: name,
    version: '2.21.0',
    downloadSize,
    unpackedSize,
    keeps: TENSORFLOW_FILES,
    required: LIBRARIES.map((library) => `tensorflow/${library}`),
  };
}

function nvidia(
  component: string,
  version: string,
  downloadSize: number,
  unpackedSize: number,
  ...required: readonly string[]
): Wheel {
  return {
    package: `nvidia-${component.replace('_', '-')}-cu12`,
    version,
    downloadSize,
    unpackedSize,
    keeps: NVIDIA_FILES,
    required: required.map((file) => `nvidia/${component}/${file}`),
  };
}
