import { readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setupNative } from '../../../src/backend/native/setup-native.ts';
import { RECIPES } from '../../../src/backend/native/setup-wheels.ts';
import type { TfjsNodePackage } from '../../../src/backend/native/tfjs-node-package.ts';
import { PretendMachine, pretendRecipe } from './pretend-machine.ts';

let answer: (device: 'cpu' | 'gpu') => object;
let packages: () => TfjsNodePackage[];
jest.mock('../../../src/backend/native/setup-platform.ts', () => ({
  recipeForThisMachine: (device: 'cpu' | 'gpu' = 'cpu') => answer(device),
}));
jest.mock('../../../src/backend/native/tfjs-node-package.ts', () => ({
  ...jest.requireActual<object>('../../../src/backend/native/tfjs-node-package.ts'),
  findTfjsNode: () => packages(),
}));

let machine: PretendMachine;
let part: string;
let project: TfjsNodePackage;

beforeEach(async () => {
  machine = new PretendMachine();
  await machine.makeGpuWheels();
  await machine.makeWheel();
  machine.addPip();
  machine.addCompiler('good-gpu');
  part = machine.partFor('gpu');
  project = machine.addTfjsNode('project', '@tensorflow/tfjs-node-gpu');
  answer = (device) => ({ recipe: pretendRecipe(device) });
  packages = () => [project];
});

afterEach(() => {
  jest.restoreAllMocks();
  machine.remove();
});

const setUp = (options: Parameters<typeof setupNative>[0] = {}) =>
  setupNative({ cacheDir: machine.cacheDir, gpu: true, ...options });

/** Paths of the files in the finished part. */
function laidOut(): string[] {
  const entries = readdirSync(part, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(part.length + 1))
    .sort();
}

describe('a set-up for a GPU from nothing', () => {
  it('gives tfjs-node-gpu a part of its own, and says that it uses the GPU', async () => {
    expect(await setUp()).toEqual({
      status: 'ready',
      how: 'built',
      fusedOps: { how: 'built', instructions: 'avx2' },
      tensorflow: '2.21.0',
      gpu: true,
      package: '@tensorflow/tfjs-node-gpu',
      folder: project.folder,
    });
    expect(readlinkSync(project.addon)).toBe(join(part, 'tensorflow', 'tfjs_binding.node'));
    expect(machine.cached()).toEqual([basename(part)]);
  });

  it('lays the libraries out as pip does, without headers and Python, with their licences', async () => {
    await setUp();
    const laid = laidOut();
    const required = pretendRecipe('gpu').wheels.flatMap((wheel) => wheel.required);
    expect(laid).toEqual(expect.arrayContaining([...required, 'tensorflow/tfjs_binding.node']));
    expect(laid).toContain('nvidia/cudnn/lib/libcudnn.so.9');
    expect(laid.filter((path) => path.endsWith('.py') || /^nvidia\/.*\.h$/.test(path))).toEqual([]);
    expect(laid.filter((path) => path.endsWith('License.txt'))).toHaveLength(12);
    expect(statSync(join(part, 'nvidia/cuda_nvcc/bin/ptxas')).mode & 0o111).toBe(0o111);
  });

  it('asks pip for each wheel by its exact version, for every manylinux that one of them has', async () => {
    await setUp();
    const calls = machine.downloads();
    expect(calls.map((call) => call.split(' ').at(-1))).toEqual(
      pretendRecipe('gpu').wheels.map((wheel) => `${wheel.package}==${wheel.version}`),
    );
    for (const call of calls) {
      for (const glibc of ['2_27', '2_25', '2_17', '2_12'])
        expect(call).toContain(`--platform=manylinux_${glibc}_x86_64`);
      expect(call).toContain('--no-deps --only-binary=:all:');
    }
  });

  it("links the binding so that the libraries beside it find NVIDIA's", async () => {
    await setUp();
    const [call] = machine.calls().filter((line) => line.startsWith('g++ -') && !line.includes('--version'));
    expect(call).toContain('-Wl,-rpath,$ORIGIN');
    expect(call).toMatch(/-L\S+\/made\/tensorflow .* -o \S+\/made\/tensorflow\/tfjs_binding\.node$/);
    expect(call).toContain(join(project.folder, 'binding', 'tfjs_backend.cc'));
  });

  it('installs tfjs-node-gpu without scripts where it is missing', async () => {
    let installed = false;
    packages = () => (installed ? [project] : []);
    machine.addTool('npm', 'exit 0');
    await setUp({ onProgress: ({ message }) => (installed ||= message.startsWith('installing')) });
    const install = machine.calls().find((call) => call.startsWith('npm install'));
    expect(install).toMatch(/--ignore-scripts .*@tensorflow\/tfjs-node-gpu@4\.22\.0$/);
  });

  it('warns before the download where there is no NVIDIA driver, and goes on', async () => {
    machine.addCompiler('good');
    const said: string[] = [];
    const outcome = await setUp({ onProgress: ({ message }) => said.push(message) });
    expect(said[0]).toMatch(/^no NVIDIA driver is found/);
    expect(outcome).toMatchObject({ how: 'built', gpu: false });
  });

  it('does not where there is one', async () => {
    machine.addTool('nvidia-smi', 'echo "NVIDIA H100 80GB HBM3, 81559, 550.54.15"');
    const said: string[] = [];
    await setUp({ onProgress: ({ message }) => said.push(message) });
    expect(said.filter((message) => message.includes('NVIDIA driver'))).toEqual([]);
    expect(said[0]).toBe('downloading tensorflow 2.21.0 (1 of 13)');
  });
});

describe('what works already', () => {
  it('is left as it is where it lists a GPU', async () => {
    machine.addNativePart(project, 'good-gpu');
    expect(await setUp()).toMatchObject({ how: 'found', gpu: true });
    expect(machine.downloads()).toEqual([]);
  });

  it('is replaced where it lists none and is not ours', async () => {
    machine.addNativePart(project, 'good');
    expect(await setUp()).toMatchObject({ how: 'built', gpu: true });
  });

  it('is left as it is where it is ours, GPU or not', async () => {
    machine.addCompiler('good');
    await setUp();
    expect(await setUp()).toMatchObject({ how: 'found', gpu: false });
    expect(machine.downloads()).toHaveLength(13);
  });

  it('may be a tfjs-node for the CPU, which stays beside it', async () => {
    const plain = machine.addTfjsNode();
    packages = () => [project, plain];
    machine.addCompiler('good');
    expect(await setUp({ gpu: false })).toMatchObject({ package: '@tensorflow/tfjs-node', how: 'built' });
    expect(await setUp()).toMatchObject({ package: '@tensorflow/tfjs-node-gpu', how: 'built' });
    expect(machine.cached()).toEqual([basename(machine.part), basename(part)].sort());
  });
});

describe('a set-up for a GPU that was cut off', () => {
  it('goes on with the wheels that it lacks', async () => {
    const copy = `/bin/cp '${machine.root}/index/'"$package.whl" "$dest/$package.whl"`;
    machine.addPip(`[ "$package" = nvidia-cuda-nvcc-cu12 ] && { echo 'ERROR: connection lost' >&2; exit 1; }\n${copy}`);
    await expect(setUp()).rejects.toThrow(
      /could not download nvidia-cuda-nvcc-cu12 12\.9\.86 \(ERROR: connection lost\)/,
    );
    expect(machine.leftBehind(project)).toEqual([]);
    expect(readdirSync(`${part}.wheels`)).toHaveLength(3);
    machine.addPip();
    expect(await setUp()).toMatchObject({ how: 'built' });
    expect(machine.downloads()).toHaveLength(3 + 1 + 10);
    expect(machine.cached()).toEqual([basename(part)]);
  });

  it('downloads a damaged wheel again, and no other', async () => {
    const whole = readFileSync(machine.wheelOf('nvidia-cudnn-cu12'));
    writeFileSync(machine.wheelOf('nvidia-cudnn-cu12'), whole.subarray(0, whole.length / 2));
    await expect(setUp()).rejects.toThrow(/nvidia-cudnn-cu12-9\.10\.2\.21\.whl is damaged .*it has been deleted/);
    expect(readdirSync(`${part}.wheels`)).toHaveLength(12);
    writeFileSync(machine.wheelOf('nvidia-cudnn-cu12'), whole);
    expect(await setUp()).toMatchObject({ how: 'built' });
    expect(machine.downloads()).toHaveLength(14);
  });

  it('makes a part again that has lost one of its libraries', async () => {
    await setUp();
    rmSync(join(part, 'nvidia/cufft/lib/libcufft.so.11'));
    rmSync(project.addon);
    expect(await setUp()).toMatchObject({ how: 'built' });
    expect(laidOut()).toContain('nvidia/cufft/lib/libcufft.so.11');
  });

  it('refuses a wheel without the library that TensorFlow loads', async () => {
    await machine.makeWheel({ 'nvidia/nccl/lib/libnccl.so.3': 'too new' }, 'nvidia-nccl-cu12');
    await expect(setUp()).rejects.toThrow(/nvidia-nccl-cu12 2\.27\.7 contains no nvidia\/nccl\/lib\/libnccl\.so\.2/);
    expect(machine.leftBehind(project)).toEqual([]);
  });
});

describe('an obstacle to a set-up for a GPU', () => {
  it('is too little room, told before anything is downloaded', async () => {
    jest
      .spyOn(files, 'statfs')
      .mockResolvedValue({ bavail: 5e6, bsize: 1e3 } as Awaited<ReturnType<typeof files.statfs>>);
    answer = () => ({ recipe: RECIPES.gpu.x64 });
    await expect(setUp()).rejects.toThrow(/needs 8\.9 GB of free disk space for .* \(free: 5\.0 GB\)\./);
    expect(machine.downloads()).toEqual([]);
    expect(machine.cached()).toEqual([]);
  });

  it('is a system without CUDA', async () => {
    answer = () => ({ refusal: 'this is macOS' });
    await expect(setUp()).rejects.toThrow('this is macOS');
    expect(await setUp({ ifPossible: true })).toEqual({ status: 'skipped', reason: 'this is macOS' });
  });

  it('is another version of tfjs-node-gpu', async () => {
    project = { ...project, version: '4.21.0' };
    await expect(setUp()).rejects.toThrow(/@tensorflow\/tfjs-node-gpu in .* is version 4\.21\.0/);
  });
});

/** `Requires-Dist: …; extra == "and-cuda"` in the metadata of tensorflow 2.21.0: from, and before. */
const AND_CUDA: Readonly<Record<string, readonly [string, string]>> = {
  'nvidia-cublas-cu12': ['12.5.3.2', '13.0'],
  'nvidia-cuda-cupti-cu12': ['12.5.82', '13.0'],
  'nvidia-cuda-nvcc-cu12': ['12.5.82', '13.0'],
  'nvidia-cuda-nvrtc-cu12': ['12.5.82', '13.0'],
  'nvidia-cuda-runtime-cu12': ['12.5.82', '13.0'],
  'nvidia-cudnn-cu12': ['9.3.0.75', '10.0'],
  'nvidia-cufft-cu12': ['11.2.3.61', '12.0'],
  'nvidia-curand-cu12': ['10.3.6.82', '11.0'],
  'nvidia-cusolver-cu12': ['11.6.3.83', '12.0'],
  'nvidia-cusparse-cu12': ['12.5.1.3', '13.0'],
  'nvidia-nccl-cu12': ['2.27.7', '3.0'],
  'nvidia-nvjitlink-cu12': ['12.5.82', '13.0'],
};

it("takes NVIDIA's libraries within the ranges that TensorFlow asks for, all of them", () => {
  const compare = new Intl.Collator('en', { numeric: true }).compare;
  const wheels = RECIPES.gpu.x64!.wheels.slice(1);
  expect(wheels.map((wheel) => wheel.package).sort()).toEqual(Object.keys(AND_CUDA).sort());
  for (const { package: name, version } of wheels) {
    const [from, before] = AND_CUDA[name]!;
    expect([name, compare(version, from) >= 0, compare(version, before) < 0]).toEqual([name, true, true]);
  }
});
