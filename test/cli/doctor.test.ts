import type { Diagnosis } from '../../src/backend/doctor.ts';
import { doctorCommand } from '../../src/cli/commands/doctor.ts';
import { runCli } from './run-cli.ts';

let pretended: Diagnosis | undefined;
jest.mock('../../src/backend/doctor.ts', () => ({ diagnose: async () => pretended }));

/** What stands in a sound diagnosis; tests change what they are about. */
const SOUND: Diagnosis = {
  works: true,
  backend: 'wasm',
  node: { version: '20.20.2', supported: '>=20.15', status: 'ok' },
  packages: [{ name: '@tensorflow/tfjs-core', expected: '4.22.0', copies: [], status: 'ok' }],
  backends: [
    {
      backend: 'tensorflow',
      package: '@tensorflow/tfjs-node-gpu',
      status: 'absent',
      problem: 'is not installed',
    },
    {
      backend: 'wasm',
      package: '@tensorflow/tfjs-backend-wasm',
      version: '4.22.0',
      description: 'WebAssembly with SIMD, 1 thread',
      status: 'ok',
    },
  ],
  fusedOps: { status: 'absent', problem: 'need the backend tensorflow' },
  setUp: { possible: true, missing: [], status: 'ok' },
  gpu: { listed: false, gpus: [], log: [], status: 'absent', problem: 'there is no NVIDIA driver' },
  processor: { model: 'AMD EPYC', cores: 2, instructions: ['avx', 'avx2'], status: 'ok' },
  memory: { totalBytes: 16e9, availableBytes: 8e9, limitBytes: 10e9, wasmBytes: 4294901760, status: 'ok' },
  disks: [{ purpose: 'current folder', folder: '/here', freeBytes: 50e9, status: 'ok' }],
  nativeParts: { folder: '/cache/native', parts: [], status: 'absent', problem: 'is empty' },
  checkpoints: [],
};

async function print(diagnosis: Diagnosis, ...args: string[]): Promise<{ text: string; code: unknown }> {
  pretended = diagnosis;
  const before = process.exitCode;
  const log = jest.spyOn(console, 'log').mockImplementation();
  try {
    await doctorCommand().parseAsync(args, { from: 'user' });
    return { text: log.mock.calls.join('\n'), code: process.exitCode };
  } finally {
    log.mockRestore();
    process.exitCode = before;
  }
}

describe('the report for people', () => {
  it('is a line a thing, in plain text', async () => {
    const { text, code } = await print(SOUND);
    expect(text).toBe(`Software
  ✓ Node: 20.20.2 (supported: >=20.15)
  ✓ @tensorflow/tfjs-core: 4.22.0
Backends, in the order in which they are chosen
  – tensorflow (@tensorflow/tfjs-node-gpu): is not installed
  ✓ wasm (@tensorflow/tfjs-backend-wasm 4.22.0): WebAssembly with SIMD, 1 thread
  – fused ops on top of tensorflow: need the backend tensorflow
Machine
  – GPU: there is no NVIDIA driver
  ✓ Processor: AMD EPYC, 2 cores avx avx2
  ✓ Memory: 16.0 GB, 8.0 GB available; this container may use 10.0 GB; wasm can use 4.3 GB of it at most, so DiT-XL and PixArt-XL need tensorflow
  ✓ Disk of the current folder: 50.0 GB free (/here)
Native TensorFlow, once per user
  – /cache/native: is empty
  ✓ setup-native: finds all that it needs
Checkpoints
  – none: convert one, or give its path with --model

Pictures can be made; the default backend is wasm.`);
    expect(code).toBe(process.exitCode);
  });

  it('says under each fault what to do', async () => {
    const [gpuRow, wasmRow] = SOUND.backends;
    const broken = {
      status: 'failed',
      problem: 'does not work: it crashes (signal SIGSEGV)',
      fix: 'Run `x`.',
    } as const;
    const { text } = await print({
      ...SOUND,
      backends: [{ ...gpuRow!, version: '4.22.0', folder: '/p', ...broken }, { ...wasmRow! }],
      gpu: {
        listed: false,
        driver: '550.54.15',
        gpus: [{ name: 'NVIDIA H100', memoryBytes: 80e9 }],
        log: [],
        status: 'warning',
        problem: 'no TensorFlow uses it',
        fix: 'Run `y`.',
      },
      checkpoints: [
        {
          name: 'bad',
          folder: 'checkpoints/bad',
          layout: 'converted',
          status: 'failed',
          problem: 'manifest.json: ✖ one\n✖ two',
          fix: 'Convert it again.',
        },
      ],
    });
    expect(text).toContain(`
  ✗ tensorflow (@tensorflow/tfjs-node-gpu 4.22.0): in /p; does not work: it crashes (signal SIGSEGV)
      Run \`x\`.
`);
    expect(text).toContain(`
  ! GPU: NVIDIA H100, 80.0 GB; driver 550.54.15; no TensorFlow uses it
      Run \`y\`.
`);
    expect(text).toContain(`
  ✗ bad: checkpoints/bad; manifest.json: ✖ one
      ✖ two
      Convert it again.
`);
  });

  it('marks what is absent and wanted as something to mend', async () => {
    const [gpuRow] = SOUND.backends;
    const { text } = await print({ ...SOUND, backends: [{ ...gpuRow!, fix: 'Run `z`.' }] });
    expect(text).toContain('  ! tensorflow (@tensorflow/tfjs-node-gpu): is not installed\n      Run `z`.\n');
  });
});

it('fails where no backend works', async () => {
  const { text, code } = await print({ ...SOUND, works: false, backend: null });
  expect(text).toMatch(/No backend works: no picture can be made\.$/);
  expect(code).toBe(1);
});

it('prints the whole diagnosis with --json', async () => {
  expect(JSON.parse((await print(SOUND, '--json')).text)).toEqual(SOUND);
});

describe('the built program', () => {
  it('examines this machine and its shipped checkpoint, with the documented fields', async () => {
    const { code, stdout, stderr } = await runCli('doctor', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const diagnosis = JSON.parse(stdout) as Diagnosis;
    expect(Object.keys(diagnosis).sort()).toEqual(Object.keys(SOUND).sort());
    expect(diagnosis.works).toBe(true);
    expect(diagnosis.node.version).toBe(process.versions.node);
    expect(diagnosis.packages.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok']);
    expect(diagnosis.backends.filter(({ status }) => status === 'ok').map(({ backend }) => backend)).toEqual(
      expect.arrayContaining(['wasm', 'cpu']),
    );
    expect(diagnosis.checkpoints.find(({ name }) => name === 'dit-emoji')).toMatchObject({
      layout: 'converted',
      model: expect.stringContaining('depth 28'),
      dtypes: ['F16'],
      status: 'ok',
    });
  });

  it('prints lines that a person can paste', async () => {
    const { code, stdout } = await runCli('doctor');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Software\n {2}✓ Node: /);
    expect(stdout).toContain('✓ wasm (@tensorflow/tfjs-backend-wasm 4.22.0)');
    expect(stdout).not.toContain('\x1b');
  });
});
