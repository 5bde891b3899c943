import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fusedSources } from '../../../src/backend/native/fused-addon.ts';
import { runTool } from '../../../src/backend/native/run-tool.ts';
import { KERNEL_FLAGS } from '../../../src/backend/native/setup-compile.ts';
import { unchecked } from '../../unchecked.ts';

/** Exit code of kernels/compare_kernels.cc where the processor lacks the instructions. */
const ABSENT = 'exit code 2';

const TESTS = join(__dirname, 'kernels');
const folder = mkdtempSync(join(tmpdir(), 'delta-dit-kernels-'));
const program = join(folder, 'compare_kernels');
let isCompiled = false;

beforeAll(async () => {
  const sources = fusedSources()!;
  const kernels = sources.files.filter((file) => /^(kernels_\w+|dispatch)\.cc$/.test(file));
  const tests = readdirSync(TESTS).filter((file) => file.endsWith('.cc'));
  const files = [...kernels.map((file) => join(sources.folder, file)), ...tests.map((file) => join(TESTS, file))];
  const run = await runTool('g++', [...KERNEL_FLAGS, `-I${sources.folder}`, ...files, '-o', program]);
  if (!run.found) return unchecked('the kernels of the fused ops by themselves: there is no g++');
  expect(run.stderr).toBe('');
  isCompiled = true;
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true }));

it.each(['avx2', 'avx512', 'amx'])(
  'by %s, each kernel gives what the plain one gives, and stays in its memory',
  async (name) => {
    if (!isCompiled) return;
    const run = await runTool(program, [name], { timeLimit: 100_000 });
    if (run.ending === ABSENT) return unchecked(`the kernels of the fused ops by ${name}: this processor lacks it`);
    expect(run).toMatchObject({ ending: 'exit code 0', stdout: expect.not.stringContaining('differs') });
  },
);
