import { readFileSync, writeFileSync } from 'node:fs';
import { readPngText } from '../../src/pipelines/png.ts';
import { readPng } from '../support/read-png.ts';
import { convertTinyModel, expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const generate = (...args: string[]) => runCli('generate', '--backend', 'wasm', ...args);
const repeat = (picture: string, ...args: string[]) => generate('--from-image', picture, ...args);
const pixels = (path: string) => Array.from(readPng(path).data);
const settings = (path: string) => JSON.parse(readPngText(path, readFileSync(path)).get('delta-dit') ?? '');

/** Makes a picture and repeats it from its file alone. */
async function twice(name: string, ...args: string[]): Promise<[first: string, again: string]> {
  const [first, again] = [scratch.path(`${name}.png`), scratch.path(`${name}-again.png`)];
  expect(await generate(...args, '-o', first)).toMatchObject({ code: 0 });
  expect(await repeat(first, '-o', again)).toMatchObject({ code: 0 });
  return [first, again];
}

const base = scratch.path('base.png');
const CACHE = ['--cache', 'delta-dit', '--cache-option', 'cachedBlocks=2,stageBound=2'];
beforeAll(async () => {
  await convertTinyModel(model);
  await generate('-m', model, '--class', '1', '--seed', '7', '--steps', '4', ...CACHE, '-o', base);
});
afterAll(() => scratch.remove());

describe('generate --from-image', () => {
  const made: [string, string[]][] = [
    ['a sheet', ['--class', '1', '--class', '5', '--steps', '4', '--seed', '7', '--seed', '9', '--cfg-scale', '3']],
    ['a cache', ['--class', '2', '--steps', '4', '--seed', '7', ...CACHE]],
    ['a comparison', ['--class', '2', '--steps', '4', '--seed', '7', ...CACHE, '--compare']],
    ['fresh noise', ['--class', '2', '--steps', '4', '--count', '2', '--eta', '0.5', '--numerics', 'diffusers']],
    [
      'another sampler',
      ['--class', '2', '--steps', '4', '--sampler', 'ddpm-original', '--batch-size', '1', '--count', '2'],
    ],
    ['given timesteps', ['--class', '2', '--sampler', 'unipc', '--timesteps', '999,850,300,31', ...CACHE]],
  ];
  it.each(made)('repeats %s to the byte', async (name, args) => {
    const [first, again] = await twice(name.replace(/ /g, '-'), '-m', model, ...args);
    expect(readFileSync(again).equals(readFileSync(first))).toBe(true); // the settings in it, too
  });

  it('knows what a weights file did not say', async () => {
    const labels = scratch.path('names.txt');
    writeFileSync(labels, ['sun', 'moon', 'cat', 'dog', 'sea', 'sky', 'tree'].join('\n'));
    const layout = ['--vae', `${PARITY}/dit-tiny-diffusers`, '--num-heads', '4', '--labels', labels];
    const args = ['-m', `${PARITY}/dit-tiny.pt`, ...layout, '--class', 'moon', '--steps', '2'];
    const [first, again] = await twice('weights', ...args);
    expect(settings(first)).toMatchObject({ vae: `${PARITY}/dit-tiny-diffusers`, numHeads: 4, labels });
    expect(readFileSync(again).equals(readFileSync(first))).toBe(true);
  });

  it('repeats one picture of many, within the rounding of a smaller batch', async () => {
    const many = ['-m', model, '--class', '3', '--seed', '5', '--count', '3', '--steps', '4'];
    expect((await generate(...many, '-o', scratch.path('of-{index}.png'))).code).toBe(0);
    const [second, again] = [scratch.path('of-2.png'), scratch.path('of-2-again.png')];
    expect((await repeat(second, '-o', again)).code).toBe(0);
    const before = pixels(second);
    const difference = pixels(again).map((value, i) => Math.abs(value - before[i]!));
    expect(Math.max(...difference)).toBeLessThanOrEqual(1);
  });

  it('lets options beside it win', async () => {
    const other = scratch.path('other.png');
    expect((await repeat(base, '--seed', '8', '--cache', 'none', '-o', other)).code).toBe(0);
    expect(settings(other)).toEqual({ ...settings(base), seeds: [8], cache: null, cacheOptions: [] });
  });

  it('lets steps beside it win over its timesteps', async () => {
    const [first, steps, others] = ['placed', 'counted', 'moved'].map((name) => scratch.path(`${name}.png`));
    const args = ['-m', model, '--class', '1', '--sampler', 'deis', '--timesteps', '900,500,31', '-o', first!];
    const { stdout } = await generate(...args, '--json');
    expect(JSON.parse(stdout).report.timesteps).toEqual([900, 500, 31]);
    expect(settings(first!)).toMatchObject({ numInferenceSteps: 3, timesteps: [900, 500, 31] });
    expect((await repeat(first!, '--steps', '2', '-o', steps!)).code).toBe(0);
    expect(settings(steps!)).toMatchObject({ numInferenceSteps: 2, sampler: 'deis' });
    expect(settings(steps!)).not.toHaveProperty('timesteps');
    expect((await repeat(first!, '--timesteps', '800, 20', '-o', others!)).code).toBe(0);
    expect(settings(others!)).toMatchObject({ numInferenceSteps: 2, timesteps: [800, 20] });
    expectRefusal(
      await repeat(first!, '--sampler', 'lcm', '-o', scratch.path('lcm.png')),
      /not lcm; give a number of steps/,
    );
  });

  it('explains the plan of a picture', async () => {
    const { stdout } = await repeat(base, '--explain');
    expect(stdout.split('\n').filter((line) => line.endsWith('cached'))).toHaveLength(2);
  });

  it('warns when the weights are others', async () => {
    const other = scratch.path('tiny32');
    await convertTinyModel(other, '--dtype', 'float32');
    const { code, stderr } = await repeat(base, '-m', other, '-o', scratch.path('others.png'));
    expect(code).toBe(0);
    expect(stderr).toMatch(/warning: the weights of .*tiny32 are not those that made the picture/);
    expect((await repeat(base, '-o', scratch.path('same.png'))).stderr).not.toContain('warning');
  });

  it('warns when the backend is another', async () => {
    const args = ['--from-image', base, '--cache', 'none', '--steps', '1', '--backend', 'cpu'];
    const { stderr } = await runCli('generate', ...args, '-o', scratch.path('cpu.png'));
    expect(stderr).toMatch(/warning: the picture was made on wasm, this is cpu: .*--backend wasm repeats them/);
  });

  it('refuses a file that is no PNG, and one without settings', async () => {
    const out = scratch.path('never.png');
    writeFileSync(scratch.path('text.png'), 'text');
    expectRefusal(await repeat(scratch.path('text.png'), '-o', out), /text\.png: is not a PNG file/);
    const bare = scratch.path('bare.png');
    await generate('-m', model, '--class', '1', '--steps', '1', '--no-metadata', '-o', bare);
    expectRefusal(await repeat(bare, '-o', out), /bare\.png: carries no settings of delta-dit/);
  });

  it('replaces no picture, not even the one that it repeats', async () => {
    expectRefusal(await repeat(base, '-o', base), /base\.png: exists already/);
  });
});
