import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type SetupProgress, setupNative } from '../../../src/backend/native/setup-native.ts';
import type { TfjsNodePackage } from '../../../src/backend/native/tfjs-node-package.ts';
import { AbortError } from '../../../src/errors.ts';
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

describe('a set-up from nothing', () => {
  it('builds the part once, links it, and says so', async () => {
    const steps: SetupProgress[] = [];
    const outcome = await setUp({ onProgress: (step) => steps.push(step) });
    expect(outcome).toEqual({
      status: 'ready',
      how: 'built',
      tensorflow: '2.21.0',
      gpu: false,
      package: '@tensorflow/tfjs-node',
      folder: project.folder,
      fusedOps: { how: 'built', instructions: 'avx2' },
    });
    expect(machine.cached()).toEqual([basename(machine.part)]);
    expect(readlinkSync(project.addon)).toBe(join(machine.part, 'tensorflow/tfjs_binding.node'));
    expect([...new Set(steps.map(({ message }) => message))]).toEqual([
      'downloading tensorflow-cpu 2.21.0',
      'unpacking tensorflow-cpu',
      'compiling the binding of @tensorflow/tfjs-node',
      'checking that TensorFlow computes',
      'compiling the fused ops',
    ]);
    const unpacking = steps.filter(({ message }) => message === 'unpacking tensorflow-cpu');
    expect(unpacking.at(-1)?.doneBytes).toBe(unpacking.at(-1)?.totalBytes);
  });

  it('asks pip for a wheel whatever the local Python is', async () => {
    await setUp();
    const [call] = machine.downloads();
    for (const part of ['-m pip download', '--no-deps', '--only-binary=:all:', '--platform=manylinux_2_27_x86_64']) {
      expect(call).toContain(part);
    }
    for (const part of ['--python-version=3.11', '--abi=cp311', 'tensorflow-cpu==2.21.0']) expect(call).toContain(part);
  });

  it('lets pip go on with a connection that broke off', async () => {
    machine.addPip(
      `[ "$PIP_RESUME_RETRIES" -gt 0 ] && /bin/cp '${machine.wheel}' "$dest/tensorflow_cpu-2.21.0-cp311.whl"`,
    );
    expect(await setUp()).toMatchObject({ how: 'built' });
  });

  it('takes only the libraries and the headers that are needed', async () => {
    await setUp();
    expect(readFileSync(join(machine.part, 'tensorflow/libtensorflow_cc.so.2'), 'utf8')).toBe('the one half');
    const kept = readdirSync(machine.part, { recursive: true, withFileTypes: true });
    expect(
      kept
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
        .sort(),
    ).toEqual([
      expect.stringMatching(/^delta-dit-[0-9a-f]{12}\.node$/),
      'libtensorflow_cc.so.2',
      'libtensorflow_framework.so.2',
      'ops.h',
      'tfjs_binding.node',
      'tsl_status.h',
    ]);
  });

  it('compiles the sources of tfjs-node with one call of g++', async () => {
    await setUp();
    const compilations = machine.calls().filter((call) => call.startsWith('g++ -'));
    const [call] = compilations.filter((line) => !line.includes('--version'));
    for (const source of ['tfjs_backend.cc', 'tfjs_binding.cc'])
      expect(call).toContain(join(project.folder, 'binding', source));
    expect(call).toContain('-l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2');
    expect(call).toContain('node-api-headers/include');
    expect(compilations.filter((line) => line.includes('tfjs_backend.cc'))).toHaveLength(1);
  });

  it('installs tfjs-node without scripts where it is missing', async () => {
    let installed = false;
    packages = () => (installed ? [project] : []);
    machine.addTool('npm', 'exit 0');
    const outcome = await setUp({ onProgress: ({ message }) => (installed ||= message.startsWith('installing')) });
    expect(outcome).toMatchObject({ status: 'ready', how: 'built' });
    const install = machine.calls().find((call) => call.startsWith('npm install'));
    expect(install).toMatch(/--ignore-scripts .*@tensorflow\/tfjs-node@4\.22\.0$/);
  });
});

describe('a later call', () => {
  it('finds what works and does nothing', async () => {
    await setUp();
    const before = machine.calls();
    expect(await setUp()).toMatchObject({ status: 'ready', how: 'found' });
    expect(machine.calls()).toEqual(before);
  });

  it('links a second project without pip and g++', async () => {
    await setUp();
    machine.removeTool('python3');
    machine.removeTool('g++');
    project = machine.addTfjsNode('second');
    expect(await setUp()).toMatchObject({ status: 'ready', how: 'linked', folder: project.folder });
  });

  it('makes a part again that no longer works', async () => {
    await setUp();
    writeFileSync(join(machine.part, 'tensorflow/tfjs_binding.node'), 'bad');
    expect(await setUp()).toMatchObject({ status: 'ready', how: 'built' });
    expect(machine.cached()).toEqual([basename(machine.part)]);
  });

  it('goes on after a run that was cut off while unpacking', async () => {
    const abandoned = join(machine.native, `.unfinished-${hostname()}-${pidOfNobody()}-0a1b2c3d`);
    mkdirSync(join(abandoned, 'made'), { recursive: true });
    writeFileSync(join(abandoned, 'made', 'libtensorflow_cc.so.2'), 'the on');
    mkdirSync(`${machine.part}.wheels`);
    await files.copyFile(machine.wheel, `${machine.part}.wheels/tensorflow-cpu-2.21.0.whl`);
    expect(await setUp()).toMatchObject({ status: 'ready', how: 'built' });
    expect(machine.downloads()).toEqual([]);
    expect(machine.cached()).toEqual([basename(machine.part)]);
  });

  it('leaves a run alone that is still going on', async () => {
    const busy = `.unfinished-${hostname()}-${process.pid}-0a1b2c3d`;
    mkdirSync(join(machine.native, busy), { recursive: true });
    await setUp();
    expect(machine.cached()).toContain(busy);
  });

  it('uses a stock native part that works as it is', async () => {
    machine.addNativePart(project, 'good');
    expect(await setUp()).toMatchObject({ status: 'ready', how: 'found' });
    expect(machine.cached()).toEqual([]);
  });

  it('replaces a stock native part that does not work', async () => {
    machine.addNativePart(project, 'bad');
    expect(await setUp()).toMatchObject({ status: 'ready', how: 'built' });
  });
});

describe('the fused ops', () => {
  const addons = () => readdirSync(join(machine.part, 'tensorflow')).filter((name) => /^(delta|\.)/.test(name));
  const compilations = () => machine.calls().filter((call) => call.includes('token_ops.cc'));

  it('are compiled beside TensorFlow with one call of g++, for every processor', async () => {
    await setUp();
    expect(compilations()).toHaveLength(1);
    const [call] = compilations();
    expect(call).toContain('-l:libtensorflow_framework.so.2 -Wl,-rpath,$ORIGIN');
    expect(call).toContain('-DDELTA_DIT_TENSORFLOW="2.21.0"');
    expect(call).not.toMatch(/ -m\w/);
  });

  it('complete a part that has none, or those of older sources, and nothing else is made again', async () => {
    await setUp();
    const [addon] = addons();
    await files.rename(
      join(machine.part, 'tensorflow', addon!),
      join(machine.part, 'tensorflow', 'delta-dit-0123.node'),
    );
    expect(await setUp()).toMatchObject({ how: 'found', fusedOps: { how: 'built' } });
    expect(addons().sort()).toEqual(['delta-dit-0123.node', addon].sort());
    expect(compilations()).toHaveLength(2);
    expect(machine.downloads()).toHaveLength(1);
    expect(await setUp()).toMatchObject({ how: 'found', fusedOps: { how: 'found', instructions: 'avx2' } });
    expect(compilations()).toHaveLength(2);
  });

  it('are made again where they do not work', async () => {
    await setUp();
    writeFileSync(join(machine.part, 'tensorflow', addons()[0]!), 'made for another TensorFlow');
    expect(await setUp()).toMatchObject({ how: 'found', fusedOps: { how: 'built' } });
    expect(addons()).toHaveLength(1);
  });

  it('that cannot be had are no error: their absence is told, and nothing is left', async () => {
    await setUp();
    for (const addon of addons()) await files.rm(join(machine.part, 'tensorflow', addon));
    machine.addCompiler('bad');
    const broken = await setUp();
    expect(broken).toMatchObject({ status: 'ready', how: 'found', fusedOps: { how: 'missing' } });
    expect(broken).toMatchObject({
      fusedOps: { reason: expect.stringContaining('do not work here: Error: the addon is bad') },
    });
    machine.removeTool('g++');
    expect(await setUp()).toMatchObject({
      fusedOps: { how: 'missing', reason: expect.stringContaining('there is no g++') },
    });
    expect(addons()).toEqual([]);
  });

  it('are not added to a TensorFlow that is not made here', async () => {
    machine.addNativePart(project, 'good');
    expect(await setUp()).toMatchObject({
      fusedOps: { how: 'missing', reason: expect.stringContaining('not one that') },
    });
    expect(compilations()).toEqual([]);
  });
});

it('is safe when two calls run at once', async () => {
  const outcomes = await Promise.all([setUp(), setUp()]);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'ready' });
  expect(machine.cached()).toEqual([basename(machine.part)]);
  expect(readdirSync(dirname(project.addon))).toEqual(['tfjs_binding.node']);
});

describe('a signal', () => {
  it.each(['downloading', 'unpacking', 'compiling'])('stops it while %s, and nothing is left', async (step) => {
    const stop = new AbortController();
    const onProgress = ({ message }: SetupProgress) => message.startsWith(step) && stop.abort();
    await expect(setUp({ ifPossible: true, signal: stop.signal, onProgress })).rejects.toThrow(AbortError);
    expect(machine.leftBehind(project)).toEqual([]);
  });

  it('ends a download that hangs', async () => {
    machine.addPip('exec /bin/sleep 60');
    const stop = new AbortController();
    const stopped = setUp({ signal: stop.signal });
    setTimeout(() => stop.abort(), 200);
    await expect(stopped).rejects.toThrow(AbortError);
    expect(machine.leftBehind(project)).toEqual([]);
  });
});

/** A process number that no process has. */
function pidOfNobody(): number {
  return 2 ** 22 + 1;
}
