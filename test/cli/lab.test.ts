import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const out = scratch.path('lab');
const lab = (...args: string[]) =>
  runCli('lab', '-m', model, '--backend', 'wasm', '--no-features', '--out', out, ...args);
const SMALL = ['--seeds', '3', '--batch-size', '2', '--steps', '4', '--reference-steps', '6'];
const QUICK = [...SMALL, '--grid', 'paper', '--timing-rounds', '0'];

const OWN = [
  { cache: 'fora', options: { interval: 2, branches: 'mlp' }, sampler: 'dpm-solver++' },
  { name: 'mine', cache: 'forecast', options: { interval: 2, predictor: 'newton:2' }, steps: 5 },
  { cache: 'plan.json' },
];
const PLAN = {
  ...{ format: 'delta-dit-cache', version: 1, method: 'tuned' },
  fingerprint: { sampler: 'deis', timesteps: [950, 400, 20], numInferenceSteps: 3 },
  plan: {
    ...{ depth: 3, branches: ['self', 'mlp'], keeps: 'output', predictor: { name: 'taylor', order: 1 } },
    steps: ['', 'model', ''],
  },
};
interface Row {
  readonly method: string;
  readonly numInferenceSteps: number;
}

beforeAll(async () => {
  const vae = `${PARITY}/dit-tiny-diffusers`;
  const { code } = await runCli('convert', `${PARITY}/dit-tiny.pt`, '--out', model, '--num-heads', '4', '--vae', vae);
  expect(code).toBe(0);
});
afterAll(() => scratch.remove());

describe('lab', () => {
  it('writes a table, its numbers and plots, and makes no picture twice', async () => {
    const { code, stderr } = await lab(...QUICK);
    expect(stderr).toContain('table.md and ');
    expect(code).toBe(0);
    const { rows, baseline, converged } = JSON.parse(readFileSync(join(out, 'table.json'), 'utf8'));
    expect([baseline, converged]).toEqual(['ddim, 4 steps', 'ddim, 6 steps']);
    expect(rows.map((row: { method: string }) => row.method)).toContain('delta-dit, ddim, 4 steps');
    const table = readFileSync(join(out, 'table.md'), 'utf8');
    expect(table).toContain('| delta-dit, ddim, 4 steps |');
    expect(table).toContain('![frontier-converged.svg](frontier-converged.svg)');
    expect(table).toMatch(/\| Table 1: the front keeps detail best \| PIQE \| front \S+ \(13\.137\) < middle/);
    for (const name of ['frontier-converged.svg', 'frontier-uncached.svg', 'plans.svg', 'deltas-ddim-4-steps.svg'])
      expect(readFileSync(join(out, name), 'utf8')).toMatch(/^<svg[^>]*><title>/);
    const batches = join(out, 'delta-dit-ddim-4-steps');
    expect(readdirSync(batches).sort()).toEqual(['00000.json', '00000.png', '00002.json', '00002.png']);
    const before = readFileSync(join(batches, '00000.json'), 'utf8');
    expect((await lab(...QUICK, '--json')).code).toBe(0);
    expect(readFileSync(join(batches, '00000.json'), 'utf8')).toBe(before);
  });

  it('times methods on their own, keeps the times and says so', async () => {
    const timing = [...QUICK.slice(0, -1), '2', '--timing-batch', '2'];
    const alone = await lab(...timing, '--timing-only');
    expect([alone.code, alone.stderr]).toEqual([0, expect.stringContaining('timings.json')]);
    const file = join(out, 'timings.json');
    const { batchSize, timings, environment } = JSON.parse(readFileSync(file, 'utf8'));
    expect([batchSize, environment.backend]).toEqual([2, expect.stringContaining('WebAssembly')]);
    const timed = timings.filter(({ method }: { method: string }) => method === 'delta-dit, ddim, 4 steps');
    expect(timed.map(({ round }: { round: number }) => round)).toEqual([0, 1]);
    const before = readFileSync(file, 'utf8');
    expect((await lab(...timing, '--no-plots')).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(before);
    const table = readFileSync(join(out, 'table.md'), 'utf8');
    expect(table).toContain('Times: medians of 2 rounds of their own, warm, 2 pictures at once');
    expectRefusal(
      await lab(...QUICK, '--timing-rounds', '2'),
      /its timings.json is of batches of 2 on .+, and this is/,
    );
    rmSync(file);
  });

  it('takes methods from a file, plans beside it included', async () => {
    const file = scratch.path('grid.json');
    writeFileSync(scratch.path('plan.json'), JSON.stringify(PLAN));
    writeFileSync(file, JSON.stringify({ methods: [{ timesteps: [900, 500, 100], sampler: 'unipc' }, ...OWN] }));
    const { code, stderr } = await lab(...SMALL, '--grid', file, '--timing-rounds', '0', '--no-plots');
    expect([code, stderr]).toEqual([0, expect.stringContaining('table.md')]);
    const { rows } = JSON.parse(readFileSync(join(out, 'table.json'), 'utf8'));
    expect(rows.map(({ method, numInferenceSteps }: Row) => [method, numInferenceSteps])).toEqual([
      ['ddim, 4 steps', 4],
      ['unipc, 3 timesteps', 3],
      ['fora interval=2 branches=mlp, dpm-solver++, 4 steps', 4],
      ['mine', 5],
      ['plan.json, deis, 3 steps', 3],
    ]);
    expect(rows[1].family).toBe('unipc, placed steps');
  });

  it.each<[unknown, RegExp]>([
    [{ methods: [] }, /grid.json: no grid of methods/],
    [{ methods: [{ cahce: 'fora' }] }, /Unrecognized key: "cahce"/],
    [{ methods: [{ steps: 3, timesteps: [1] }] }, /steps and timesteps: expected one of the two/],
    [{ methods: [{ sampler: 'euler' }] }, /sampler/],
    [{ methods: [{ steps: 3 }, { cache: 'nothing' }] }, /grid.json: method 2: --cache: expected none, auto, delta-dit/],
    [{ methods: [{ cache: 'fora', options: { every: 2 } }] }, /method 1: --cache-option: fora takes interval/],
    [{ methods: [{ cache: 'absent.json' }] }, /method 1: --cache .*absent.json: could not be read/],
    [{ methods: [{ timesteps: [5, 7] }] }, /method 1: timesteps/],
    [{ methods: [{ steps: 3 }, { steps: 3 }] }, /methods 1 and 2 are both called "ddim, 3 steps"/],
    [{ methods: [{ name: 'a b' }, { name: 'a-b' }] }, /"a b" and "a-b" make one folder/],
  ])('refuses a grid %j', async (grid, message) => {
    const file = scratch.path('grid.json');
    writeFileSync(file, JSON.stringify(grid));
    expectRefusal(await lab(...SMALL, '--grid', file), message);
  });

  it('judges by the converged pictures of another laboratory, and makes none itself', async () => {
    const student = scratch.path('student');
    const from = (folder: string, ...more: string[]) =>
      lab(...QUICK, '--out', student, '--converged-from', folder, ...more, '--no-plots');
    expect((await from(out)).code).toBe(0);
    const { rows, converged } = JSON.parse(readFileSync(join(student, 'table.json'), 'utf8'));
    expect(converged).toBe('ddim, 6 steps');
    expect(rows.map(({ method }: Row) => method)).toContain('delta-dit, ddim, 4 steps');
    expect(existsSync(join(student, 'ddim-6-steps'))).toBe(false);
    expect((await from(out, '--seeds', '2', '--out', scratch.path('fewer'))).code).toBe(0);
    expectRefusal(
      await from(out, '--seeds', '4', '--out', scratch.path('more')),
      /lab: has other subjects than this laboratory/,
    );
    expectRefusal(await from(scratch.path('nothing')), /nothing: is no folder of a laboratory/);
  });

  it('goes on with more pictures where those there fill their batches', async () => {
    const folder = scratch.path('growing');
    const grown = (seeds: number) => lab(...QUICK, '--no-plots', '--seeds', String(seeds), '--out', folder);
    expect((await grown(2)).code).toBe(0);
    const first = join(folder, 'ddim-4-steps', '00000.json');
    const before = readFileSync(first, 'utf8');
    expect((await grown(3)).code).toBe(0);
    expect(readFileSync(first, 'utf8')).toBe(before);
    expect(readFileSync(join(folder, 'table.md'), 'utf8')).toContain('3 pictures a method');
    expect((await grown(2)).code).toBe(0);
    expect(JSON.parse(readFileSync(join(folder, 'lab.json'), 'utf8')).subjects).toHaveLength(3);
    expectRefusal(await grown(4), /another laboratory \(its subjects is/);
  });

  it('keeps one laboratory a folder', async () => {
    expectRefusal(await lab(...QUICK, '--cfg-scale', '2'), /another laboratory \(its guidanceScale is 4\)/);
  });

  it.each<[string[], RegExp]>([
    [['--grid', 'all'], /--grid: expected names of paper, sweep, frontier, methods, deltas, or JSON files; got "all"/],
    [['--grid', 'absent.json'], /--grid absent.json: could not be read/],
    [['--timing-only', '--timing-rounds', '0'], /--timing-only: needs --timing-rounds of at least 1, got 0/],
    [['--seeds', '1'], /--seeds: expected at least 2, got 1/],
    [['--reference-steps', '3', '--steps', '4'], /referenceSteps: expected more than the 4 steps/],
    [['--prompt', 'a heart'], /prompt/],
  ])('refuses %j', async (args, message) => {
    const other = scratch.path('other');
    expectRefusal(await lab(...args, '--out', other), message);
    expect(existsSync(join(other, 'table.md'))).toBe(false);
  });
});
