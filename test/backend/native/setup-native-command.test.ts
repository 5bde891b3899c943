import type { SetupOptions, SetupOutcome } from '../../../src/backend/native/setup-native.ts';
import { setupNativeCommand } from '../../../src/cli/commands/setup-native.ts';
import { BackendError } from '../../../src/errors.ts';

let outcome: () => SetupOutcome;
let asked: SetupOptions;
jest.mock('../../../src/backend/native/setup-native.ts', () => ({
  setupNative: async (options: SetupOptions) => {
    asked = options;
    options.onProgress?.({ message: 'unpacking TensorFlow', doneBytes: 96e6, totalBytes: 192e6, secondsLeft: 4.2 });
    options.onProgress?.({ message: 'unpacking TensorFlow', doneBytes: 97e6, totalBytes: 192e6, secondsLeft: 4.1 });
    options.onProgress?.({ message: 'compiling' });
    return outcome();
  },
}));

async function run(...args: string[]): Promise<{ out: string; err: string }> {
  const printed = { out: '', err: '' };
  const catchInto = (key: 'out' | 'err') => (text: string | Uint8Array) => {
    printed[key] += text;
    return true;
  };
  const out = jest.spyOn(process.stdout, 'write').mockImplementation(catchInto('out'));
  const err = jest.spyOn(process.stderr, 'write').mockImplementation(catchInto('err'));
  try {
    await setupNativeCommand().parseAsync(args, { from: 'user' });
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
  return printed;
}

const READY = {
  status: 'ready',
  tensorflow: '2.21.0',
  gpu: false,
  package: '@tensorflow/tfjs-node',
  folder: '/p',
  fusedOps: { how: 'built', instructions: 'avx2' },
} as const;

it.each([
  ['found', '@tensorflow/tfjs-node works already and is left as it is: TensorFlow 2.21.0, CPU (/p).\n'],
  ['linked', "@tensorflow/tfjs-node now uses the native part from this user's cache: TensorFlow 2.21.0, CPU (/p).\n"],
  ['built', '@tensorflow/tfjs-node has a newly built native part: TensorFlow 2.21.0, CPU (/p).\n'],
] as const)('says what it did: %s', async (how, sentence) => {
  outcome = () => ({ ...READY, how });
  expect((await run()).out).toBe(`${sentence}The fused ops of delta-dit have been compiled for it (avx2).\n`);
  expect(asked.ifPossible).toBe(false);
});

it.each([
  [{ how: 'found', instructions: 'plain' }, 'The fused ops of delta-dit are there, too (plain).\n'],
  [{ how: 'missing', reason: 'there is no g++' }, 'It goes without the fused ops of delta-dit: there is no g++.\n'],
] as const)('says what became of the fused ops: %o', async (fusedOps, sentence) => {
  outcome = () => ({ ...READY, how: 'found', fusedOps });
  expect((await run()).out).toContain(`\n${sentence}`);
});

it('shows progress on stderr, outside a terminal only what is new', async () => {
  outcome = () => ({ ...READY, how: 'built' });
  const isTTY = process.stderr.isTTY;
  process.stderr.isTTY = false;
  const { err } = await run();
  process.stderr.isTTY = isTTY;
  expect(err).toBe('setup-native: unpacking TensorFlow 96 of 192 MB, 5 s left\nsetup-native: compiling\n');
});

it('asks for a GPU with --gpu, and says so where TensorFlow lists none', async () => {
  outcome = () => ({ ...READY, how: 'built' });
  const cpu = await run();
  expect(asked.gpu).toBe(false);
  expect(cpu.err).not.toContain('lists no GPU');
  const { out, err } = await run('--gpu');
  expect(asked.gpu).toBe(true);
  expect(out).toContain('TensorFlow 2.21.0, CPU');
  expect(err).toContain('TensorFlow lists no GPU here, so it runs on the CPU; `delta-dit doctor` says why.\n');
  outcome = () => ({ ...READY, how: 'built', gpu: true });
  expect((await run('--gpu')).err).not.toContain('lists no GPU');
});

it('reports an impossible set-up in one line with --if-possible', async () => {
  outcome = () => ({ status: 'skipped', reason: 'The native set-up needs g++.' });
  expect((await run('--if-possible')).out).toBe('Native TensorFlow is not set up: The native set-up needs g++.\n');
  expect(asked.ifPossible).toBe(true);
});

it('lets the error through otherwise, and listens to no signal afterwards', async () => {
  const before = process.listenerCount('SIGINT');
  outcome = () => {
    throw new BackendError('no g++');
  };
  await expect(run()).rejects.toThrow('no g++');
  expect(process.listenerCount('SIGINT')).toBe(before);
});
