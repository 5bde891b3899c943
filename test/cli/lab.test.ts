import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const out = scratch.path('lab');
const lab = (...args: string[]) =>
  runCli('lab', '-m', model, '--backend', 'wasm', '--no-features', '--out', out, ...args);
const QUICK = ['--seeds', '3', '--batch-size', '2', '--steps', '4', '--reference-steps', '6', '--grid', 'paper'];

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
    for (const name of ['frontier-converged.svg', 'frontier-uncached.svg', 'plan-delta-dit-ddim-4-steps.svg'])
      expect(readFileSync(join(out, name), 'utf8')).toMatch(/^<svg[^>]*><title>/);
    const batches = join(out, 'delta-dit-ddim-4-steps');
    expect(readdirSync(batches).sort()).toEqual(['00000.json', '00000.png', '00002.json', '00002.png']);
    const before = readFileSync(join(batches, '00000.json'), 'utf8');
    expect((await lab(...QUICK, '--json')).code).toBe(0);
    expect(readFileSync(join(batches, '00000.json'), 'utf8')).toBe(before);
  });

  it('keeps one laboratory a folder', async () => {
    expectRefusal(await lab(...QUICK, '--cfg-scale', '2'), /another laboratory \(its guidanceScale is 4\)/);
  });

  it.each<[string[], RegExp]>([
    [['--grid', 'all'], /--grid: expected names of paper, sweep, frontier, methods; got "all"/],
    [['--seeds', '1'], /--seeds: expected at least 2, got 1/],
    [['--reference-steps', '3', '--steps', '4'], /referenceSteps: expected more than the 4 steps/],
    [['--prompt', 'a heart'], /prompt/],
  ])('refuses %j', async (args, message) => {
    const other = scratch.path('other');
    expectRefusal(await lab(...args, '--out', other), message);
    expect(existsSync(join(other, 'table.md'))).toBe(false);
  });
});
