import { readFileSync, writeFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { setupNative } from '../../../src/backend/native/setup-native.ts';
import { RECIPES } from '../../../src/backend/native/setup-wheels.ts';
import type { TfjsNodePackage } from '../../../src/backend/native/tfjs-node-package.ts';
import { BackendError } from '../../../src/errors.ts';
import { PretendMachine, pretendRecipe } from './pretend-machine.ts';

let answer: object;
let packages: () => TfjsNodePackage[];
jest.mock('../../../src/backend/native/setup-platform.ts', () => ({ recipeForThisMachine: () => answer }));
jest.mock('../../../src/backend/native/tfjs-node-package.ts', () => ({
  ...jest.requireActual<object>('../../../src/backend/native/tfjs-node-package.ts'),
  findTfjsNode: () => packages(),
}));

let machine: PretendMachine;
let project: TfjsNodePackage;

beforeEach(async () => {
  machine = new PretendMachine();
  await machine.makeWheel();
  machine.addPip();
  machine.addCompiler();
  project = machine.addTfjsNode();
  answer = { recipe: pretendRecipe() };
  packages = () => [project];
});

afterEach(() => {
  jest.restoreAllMocks();
  machine.remove();
});

const setUp = (options: Parameters<typeof setupNative>[0] = {}) =>
  setupNative({ cacheDir: machine.cacheDir, ...options });

describe('an obstacle', () => {
  it('is named together with all others before anything is downloaded', async () => {
    machine.removeTool('python3');
    machine.removeTool('g++');
    packages = () => [];
    await expect(setUp()).rejects.toThrow(
      'The native set-up needs npm, pip (the installer of Python packages), and g++ (the C++ compiler). ' +
        'On Debian or Ubuntu: `sudo apt install npm python3-pip g++`. Then run it again.',
    );
    expect(machine.leftBehind(project)).toEqual([]);
  });

  it('is one line and no failure with ifPossible', async () => {
    machine.removeTool('g++');
    const outcome = await setUp({ ifPossible: true });
    expect(outcome).toEqual({ status: 'skipped', reason: expect.stringMatching(/^The native set-up needs g\+\+ .*$/) });
  });

  it('is too little room on the disk', async () => {
    jest
      .spyOn(files, 'statfs')
      .mockResolvedValue({ bavail: 2, bsize: 1e3 } as Awaited<ReturnType<typeof files.statfs>>);
    answer = { recipe: RECIPES.cpu.x64 };
    await expect(setUp()).rejects.toThrow(/needs 1128 MB of free disk space for .* \(free: 0 MB\)\./);
    expect(machine.downloads()).toEqual([]);
  });

  it('is a disk that fills up on the way', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    jest.spyOn(files, 'rename').mockRejectedValueOnce(full);
    await expect(setUp()).rejects.toThrow(/The disk is full .*Free some space, then run the set-up again/);
    expect(machine.leftBehind(project)).toEqual([]);
  });

  it('is a pip that fails, in the words of pip', async () => {
    machine.addPip(
      'echo "WARNING: Retrying after connection error" >&2; echo "ERROR: No matching distribution" >&2; exit 1',
    );
    const failing = setUp();
    await expect(failing).rejects.toThrow(BackendError);
    await expect(failing).rejects.toThrow(
      /could not download tensorflow-cpu 2\.21\.0 \(ERROR: No matching distribution\)/,
    );
    expect(machine.leftBehind(project)).toEqual([]);
  });

  it('is a g++ that fails; the download is kept for the next call', async () => {
    machine.addTool('g++', '[ "$1" = --version ] || { echo "x.cc:1:1: error: no such type" >&2; exit 1; }');
    await expect(setUp()).rejects.toThrow(/could not compile .* \(x\.cc:1:1: error: no such type\)/);
    expect(machine.leftBehind(project)).toEqual([]);
    machine.addCompiler();
    expect(await setUp()).toMatchObject({ how: 'built' });
    expect(machine.downloads()).toHaveLength(1);
  });

  it('is a damaged wheel, which is not used again', async () => {
    const whole = readFileSync(machine.wheel);
    writeFileSync(machine.wheel, whole.subarray(0, whole.length / 2));
    await expect(setUp()).rejects.toThrow(/is damaged .*; it has been deleted\. Run the set-up again/);
    expect(machine.cached()).toEqual([]);
    writeFileSync(machine.wheel, whole);
    expect(await setUp()).toMatchObject({ how: 'built' });
  });

  it('is a changed byte in the wheel', async () => {
    const bytes = readFileSync(machine.wheel);
    const name = 'tensorflow/libtensorflow_cc.so.2';
    const afterName = bytes.indexOf(name) + name.length;
    const extraLength = bytes.readUInt16LE(afterName - name.length - 2);
    const inContents = afterName + extraLength + 3;
    bytes[inContents] = bytes[inContents]! ^ 0x10;
    writeFileSync(machine.wheel, bytes);
    await expect(setUp()).rejects.toThrow(/is damaged/);
    expect(machine.leftBehind(project)).toEqual([]);
  });

  it('is a wheel without the library', async () => {
    await machine.makeWheel({ 'tensorflow/libtensorflow_cc.so.2': 'alone' });
    await expect(setUp()).rejects.toThrow(/contains no tensorflow\/libtensorflow_framework\.so\.2/);
    expect(machine.leftBehind(project)).toEqual([]);
  });

  it('is a part that does not run here', async () => {
    machine.addCompiler('unfit');
    await expect(setUp()).rejects.toThrow(/was built, but does not run here: Error: the native part is unfit/);
    expect(machine.leftBehind(project)).toEqual([]);
  });

  it('is another version of tfjs-node', async () => {
    project = { ...project, version: '4.21.0' };
    await expect(setUp()).rejects.toThrow(/is version 4\.21\.0, and delta-dit needs 4\.22\.0/);
  });

  it('is an npm that fails, in the words of npm', async () => {
    packages = () => [];
    machine.addTool('npm', '[ "$1" = --version ] || { echo "npm error code E404" >&2; exit 1; }');
    await expect(setUp()).rejects.toThrow(
      /npm could not install @tensorflow\/tfjs-node@4\.22\.0 in .* \(npm error code E404\)/,
    );
  });

  it('is a system that TensorFlow does not exist for', async () => {
    answer = { refusal: 'this is macOS' };
    await expect(setUp()).rejects.toThrow('this is macOS');
    expect(await setUp({ ifPossible: true })).toEqual({ status: 'skipped', reason: 'this is macOS' });
  });
});
