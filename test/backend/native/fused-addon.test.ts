import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { fusedAddonPath, fusedSources, loadFusedOps } from '../../../src/backend/native/fused-addon.ts';
import type { TfjsNodePackage } from '../../../src/backend/native/tfjs-node-package.ts';
import { PretendMachine } from './pretend-machine.ts';

let machine: PretendMachine;
let project: TfjsNodePackage;

beforeEach(() => {
  machine = new PretendMachine();
  project = machine.addTfjsNode();
  machine.addNativePart(project, 'good');
});

afterEach(() => {
  delete process.env.DELTA_DIT_FUSED;
  machine.remove();
});

const running = (isUsingGpuDevice = false) =>
  ({ binding: { TF_Version: '2.21.0' }, isUsingGpuDevice }) as unknown as KernelBackend;

it('the sources are in the package', () => {
  const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] };
  for (const kind of ['cc', 'h', 'inc']) expect(files).toContain(`src/backend/native/kernels/*.${kind}`);
  expect(fusedSources()?.files).toContain('addon.cc');
});

it('an addon lies beside the native part, by the hash of its sources', () => {
  expect(basename(fusedAddonPath(project)!)).toMatch(/^delta-dit-[0-9a-f]{12}\.node$/);
  expect(fusedAddonPath({ addon: join(machine.root, 'nowhere.node') })).toBeUndefined();
});

describe('without an addon that works, everything is composed, and it is said why', () => {
  it('where it is missing', () => {
    expect(loadFusedOps(project, running())).toEqual({
      reason: 'they are not compiled yet',
      command: expect.stringContaining('setup-native'),
    });
    expect(loadFusedOps(undefined, running()).instructions).toBeUndefined();
  });

  it('where it cannot be loaded', () => {
    writeFileSync(fusedAddonPath(project)!, 'no shared object');
    expect(loadFusedOps(project, running())).toMatchObject({
      reason: expect.stringMatching(/^they cannot be loaded: .*(file too short|invalid ELF header)/),
      command: expect.stringContaining('setup-native'),
    });
  });

  it('where they are switched off, and on a GPU', () => {
    expect(loadFusedOps(project, running(true))).toEqual({ reason: 'they are made for the CPU' });
    process.env.DELTA_DIT_FUSED = '0';
    expect(loadFusedOps(project, running())).toEqual({ reason: 'DELTA_DIT_FUSED=0 switches them off' });
  });
});
