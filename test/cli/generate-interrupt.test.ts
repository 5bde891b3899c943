import { existsSync, readdirSync } from 'node:fs';
import { readPng } from '../support/read-png.ts';
import { appears, convertTinyModel, scratchFolder, startCli } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
/** On the slowest backend, so that there is time to interrupt. */
const start = (...args: string[]) => startCli('generate', '-m', model, '--backend', 'cpu', '--class', '1', ...args);

beforeAll(() => convertTinyModel(model));
afterAll(() => scratch.remove());

describe('generate under Ctrl-C', () => {
  it('stops after a step, with exit code 130 and no file', async () => {
    const out = scratch.path('stopped.png');
    const run = start('--steps', '1000', '-o', out);
    await run.says(/1000 steps of ddim/);
    run.interrupt();
    const { code, stderr } = await run.ended;
    expect(stderr).toMatch(/stopped before step \d+ of 1000\n$/);
    expect([code, existsSync(out)]).toEqual([130, false]);
  });

  it('keeps the pictures that are made', async () => {
    const name = scratch.path('kept-{index}.png');
    const run = start('--count', '9', '--batch-size', '1', '--steps', '100', '-o', name);
    await run.says(/Wrote .*kept-1\.png/);
    run.interrupt();
    const { code, stderr } = await run.ended;
    expect(stderr).toMatch(/stopped .*; \d of 9 pictures are written\n$/);
    expect(code).toBe(130);
    expect(readPng(scratch.path('kept-1.png')).width).toBe(16); // whole
    expect(readdirSync(scratch.path('.')).filter((file) => /kept-9|partial/.test(file))).toEqual([]);
  });

  it('takes the preview away', async () => {
    const run = start('--steps', '1000', '--preview-every', '1', '-o', scratch.path('seen.png'));
    await appears(scratch.path('seen.preview.png'));
    run.interrupt();
    expect((await run.ended).code).toBe(130);
    expect(readdirSync(scratch.path('.')).filter((file) => file.includes('seen'))).toEqual([]);
  });
});
