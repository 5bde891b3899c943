import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Diagnosis, diagnose } from '../../src/backend/doctor.ts';
import { fusedAddonPath } from '../../src/backend/native/fused-addon.ts';
import type { TfjsNodePackage } from '../../src/backend/native/tfjs-node-package.ts';
import { PretendMachine, pretendRecipe } from './native/pretend-machine.ts';

let answer: (device: 'cpu' | 'gpu') => object;
let packages: TfjsNodePackage[];
// whatever GPU the machine has
jest.mock('../../src/backend/webgpu/dawn.node.ts', () => ({ findDawn: () => undefined }));
jest.mock('../../src/backend/native/setup-platform.ts', () => ({
  recipeForThisMachine: (device: 'cpu' | 'gpu' = 'cpu') => answer(device),
}));
jest.mock('../../src/backend/native/tfjs-node-package.ts', () => ({
  ...jest.requireActual<object>('../../src/backend/native/tfjs-node-package.ts'),
  findTfjsNode: () => packages,
}));

const NODE = '@tensorflow/tfjs-node';
const NODE_GPU = '@tensorflow/tfjs-node-gpu';
const H100 = 'echo "NVIDIA H100 80GB HBM3, 81559, 550.54.15"';

let machine: PretendMachine;

beforeEach(() => {
  machine = new PretendMachine();
  machine.addPip();
  machine.addCompiler();
  machine.addTool('npm', 'exit 0');
  packages = [];
  answer = (device) => ({ recipe: pretendRecipe(device) });
});

afterEach(() => {
  jest.restoreAllMocks();
  machine.remove();
});

const examine = (options: Partial<Parameters<typeof diagnose>[0]> = {}) =>
  diagnose({
    checkpointFolders: [],
    cacheDir: machine.cacheDir,
    userFolder: machine.root,
    timeLimit: 100_000,
    ...options,
  });

const rowOf = ({ backends }: Diagnosis, name: string) => backends.find((check) => check.package === name);

/** A tfjs-node with a native part that does as it is told. */
function install(name: typeof NODE | typeof NODE_GPU, deed: string): TfjsNodePackage {
  const installed = machine.addTfjsNode('project', name);
  machine.addNativePart(installed, deed);
  packages = [...packages, installed];
  return installed;
}

describe('a machine without tfjs-node', () => {
  it('works on wasm, which really computes, and is told the command for more', async () => {
    const diagnosis = await examine();
    expect(diagnosis).toMatchObject({ works: true, backend: 'wasm' });
    expect(diagnosis.backends.map(({ package: name, status }) => [name, status])).toEqual([
      [NODE_GPU, 'absent'],
      [NODE, 'absent'],
      ['@tensorflow/tfjs-backend-wasm', 'ok'],
      ['@tensorflow/tfjs-backend-cpu', 'ok'],
      ['webgpu', 'absent'],
    ]);
    expect(rowOf(diagnosis, NODE)).toEqual({
      backend: 'tensorflow',
      package: NODE,
      status: 'absent',
      problem: 'is not installed',
      fix: 'Run `node bin/delta-dit.mjs setup-native`.',
    });
    expect(rowOf(diagnosis, NODE_GPU)).not.toHaveProperty('fix');
    expect(rowOf(diagnosis, '@tensorflow/tfjs-backend-wasm')).toMatchObject({
      description: expect.stringMatching(/^WebAssembly( with SIMD)?, 1 thread$/),
      version: '4.22.0',
    });
    expect(diagnosis.setUp).toEqual({ possible: true, missing: [], status: 'ok' });
    expect(diagnosis.gpu).toEqual({
      listed: false,
      gpus: [],
      log: [],
      status: 'absent',
      problem: 'there is no NVIDIA driver',
    });
  });

  it('is told first what the set-up needs', async () => {
    for (const tool of ['npm', 'python3', 'g++']) machine.removeTool(tool);
    expect((await examine()).setUp).toEqual({
      possible: false,
      missing: ['npm', 'pip (the installer of Python packages)', 'g++ (the C++ compiler)'],
      status: 'warning',
      problem: 'needs npm, pip (the installer of Python packages), and g++ (the C++ compiler)',
      fix: 'On Debian or Ubuntu run `sudo apt install npm python3-pip g++`.',
    });
  });

  it('is told of the prebuilt package where our set-up does not go', async () => {
    answer = () => ({ refusal: 'setup-native works on Linux only, and this is macOS.' });
    const diagnosis = await examine();
    expect(rowOf(diagnosis, NODE)?.fix).toBe('Run `npm install @tensorflow/tfjs-node@4.22.0`.');
    expect(diagnosis.setUp).toMatchObject({ possible: false, problem: expect.stringContaining('macOS') });
  });
});

describe('a tfjs-node that is there', () => {
  it('is described by the library that it loaded', async () => {
    install(NODE, 'good');
    const diagnosis = await examine();
    expect(diagnosis.backend).toBe('tensorflow');
    expect(rowOf(diagnosis, NODE)).toMatchObject({
      status: 'ok',
      version: '4.22.0',
      description: 'TensorFlow 2.21.0, CPU',
      library: '2.21.0',
      gpu: false,
    });
    machine.removeTool('g++');
    expect((await examine()).setUp).not.toHaveProperty('fix');
  });

  it('fails by its version where that is another', async () => {
    packages = [{ ...machine.addTfjsNode(), version: '4.21.0' }];
    const row = rowOf(await examine(), NODE);
    expect(row).toMatchObject({ status: 'failed', problem: 'is version 4.21.0, and delta-dit needs 4.22.0' });
    expect(row?.fix).toBe(
      'Run `npm install --ignore-scripts @tensorflow/tfjs-node@4.22.0 && node bin/delta-dit.mjs setup-native`.',
    );
  });

  it('fails without its native part', async () => {
    packages = [machine.addTfjsNode()];
    expect(rowOf(await examine(), NODE)).toMatchObject({ status: 'failed', problem: 'has no native part yet' });
  });

  it.each([
    ['throws', 'bad', 'does not work: Error: the native part is bad'],
    ['crashes', 'crashing', 'does not work: it crashes (signal SIGSEGV)'],
  ])('fails where its addon %s, and nothing else does', async (_how, deed, problem) => {
    install(NODE, deed);
    const diagnosis = await examine();
    expect(rowOf(diagnosis, NODE)).toMatchObject({ status: 'failed', problem });
    expect(rowOf(diagnosis, NODE)?.fix).toBe('Run `node bin/delta-dit.mjs setup-native`.');
    expect(diagnosis).toMatchObject({ works: true, backend: 'wasm' });
  });

  it('fails where its addon hangs', async () => {
    install(NODE, 'hanging');
    const diagnosis = await examine({ timeLimit: 1 });
    expect(rowOf(diagnosis, NODE)).toMatchObject({
      status: 'failed',
      problem: 'does not work: no answer within 0.001 s',
    });
    expect(diagnosis.backend).not.toBe('tensorflow');
  });
});

describe('a GPU', () => {
  it('is found where TensorFlow lists it', async () => {
    machine.addTool('nvidia-smi', H100);
    install(NODE_GPU, 'good-gpu');
    const diagnosis = await examine();
    expect(rowOf(diagnosis, NODE_GPU)).toMatchObject({ description: 'TensorFlow 2.21.0, GPU', gpu: true });
    expect(diagnosis.gpu).toEqual({
      listed: true,
      driver: '550.54.15',
      gpus: [{ name: 'NVIDIA H100 80GB HBM3', memoryBytes: 81559 * 2 ** 20 }],
      log: [],
      status: 'ok',
    });
  });

  it('that no TensorFlow uses is told the set-up', async () => {
    machine.addTool('nvidia-smi', H100);
    install(NODE, 'good');
    const diagnosis = await examine();
    const fix = 'Run `node bin/delta-dit.mjs setup-native --gpu`.';
    expect(diagnosis.gpu).toMatchObject({ status: 'warning', problem: 'no TensorFlow uses it', fix });
    expect(rowOf(diagnosis, NODE_GPU)).toMatchObject({ status: 'absent', fix });
  });

  it("that TensorFlow does not list is told TensorFlow's reason", async () => {
    machine.addTool('nvidia-smi', H100);
    install(NODE_GPU, 'good');
    const { gpu } = await examine();
    expect(gpu.log).toEqual(['failed call to cuInit: UNKNOWN ERROR (303)']);
    expect(gpu.problem).toBe('TensorFlow does not list it: failed call to cuInit: UNKNOWN ERROR (303)');
  });

  it('needs a driver that knows CUDA 12', async () => {
    machine.addTool('nvidia-smi', 'echo "Tesla V100, 16384, 470.82.01"');
    const { gpu } = await examine();
    expect(gpu).toMatchObject({ status: 'warning', fix: 'Update the driver to 525 or newer.' });
  });

  it('may be missing from a machine with a driver, as in a container', async () => {
    machine.addTool('nvidia-smi', 'echo "No devices were found" >&2; exit 6');
    const { gpu } = await examine();
    expect(gpu).toMatchObject({ status: 'warning', gpus: [], fix: expect.stringContaining('--gpus all') });
  });
});

describe('the cache of native parts', () => {
  it('is listed with sizes and what is in use', async () => {
    const installed = install(NODE, 'good');
    const addon = join(machine.part, 'tensorflow', 'tfjs_binding.node');
    mkdirSync(join(addon, '..'), { recursive: true });
    writeFileSync(addon, 'good');
    writeFileSync(join(addon, '..', 'libtensorflow_cc.so.2'), 'x'.repeat(996));
    symlinkSync(addon, `${installed.addon}.link`);
    packages = [{ ...installed, addon: `${installed.addon}.link` }];
    expect((await examine()).nativeParts).toEqual({
      folder: machine.native,
      parts: [
        {
          name: `2.21.0-cpu-${process.arch}-napi8`,
          bytes: 1000,
          linked: true,
          kind: 'part',
          tensorflow: '2.21.0',
          device: 'cpu',
        },
      ],
      status: 'ok',
    });
  });

  it('tells what a set-up left that was cut off, and what to do', async () => {
    const wheels = `${machine.part}.wheels`;
    mkdirSync(wheels, { recursive: true });
    writeFileSync(join(wheels, 'tensorflow-cpu-2.21.0.whl'), '12345');
    const { nativeParts } = await examine();
    expect(nativeParts).toMatchObject({ status: 'warning', parts: [{ bytes: 5, kind: 'leftover', linked: false }] });
    expect(nativeParts.fix).toBe(
      `Run the set-up again, which goes on from there, or free the space: \`rm -r ${wheels}\`.`,
    );
  });

  it('may not be there', async () => {
    expect((await examine()).nativeParts).toEqual({
      folder: machine.native,
      parts: [],
      status: 'absent',
      problem: 'is empty',
    });
  });
});

it('sees this machine as Node and Linux tell it', async () => {
  const { node, processor, memory, disks } = await examine();
  expect(node).toEqual({ version: process.versions.node, supported: '>=20.15', status: 'ok' });
  expect(processor.cores).toBeGreaterThan(0);
  expect(processor.model).not.toBe('');
  expect(memory.availableBytes).toBeGreaterThan(0);
  expect(memory.availableBytes).toBeLessThanOrEqual(memory.totalBytes);
  expect(memory.wasmBytes).toBe(2 ** 32 - 2 ** 16);
  expect(disks.map(({ purpose }) => purpose)).toEqual(['native parts', 'current folder']);
  for (const { freeBytes } of disks) expect(freeBytes).toBeGreaterThan(0);
});

it('changes nothing', async () => {
  await examine();
  expect(machine.cached()).toEqual([]);
  expect(machine.downloads()).toEqual([]);
});

describe('the fused ops', () => {
  const addonOf = (installed: TfjsNodePackage) => fusedAddonPath(installed)!;

  it('are found where they compute, with their instructions', async () => {
    const installed = install(NODE, 'good');
    writeFileSync(addonOf(installed), 'good');
    const found = { addon: addonOf(installed), instructions: 'avx2', dtypes: ['float32', 'bfloat16'], status: 'ok' };
    expect((await examine()).fusedOps).toEqual(found);
  });

  it('are told their set-up where they are missing or broken', async () => {
    const installed = install(NODE, 'good');
    const fix = 'Run `node bin/delta-dit.mjs setup-native`.';
    expect((await examine()).fusedOps).toEqual({
      status: 'warning',
      problem: 'are not compiled yet; pictures take longer',
      fix,
    });
    writeFileSync(addonOf(installed), 'bad');
    expect((await examine()).fusedOps).toMatchObject({
      status: 'failed',
      problem: 'do not work: Error: the addon is bad',
      fix,
    });
  });

  it('are not missed without TensorFlow, or on a GPU', async () => {
    expect((await examine()).fusedOps).toEqual({ status: 'absent', problem: 'need the backend tensorflow' });
    install(NODE_GPU, 'good-gpu');
    expect((await examine()).fusedOps).toMatchObject({ status: 'absent', problem: expect.stringContaining('GPU') });
  });
});
