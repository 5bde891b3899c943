import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const VAE = `${PARITY}/dit-tiny-diffusers`;
const FROM = [`${PARITY}/dit-tiny.pt`, '--num-heads', '4', '--vae', VAE];

/** Runs a conversion to `out` that is killed while it writes. Gives its process id. */
function killedConversion(out: string): Promise<number> {
  const child = spawn('node', ['test/cli/killed-conversion.mjs', `${PARITY}/dit-tiny.pt`, VAE, out]);
  child.stdout.on('data', () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.on('exit', (_, signal) => {
      if (signal === 'SIGKILL') resolve(child.pid!);
      else reject(new Error('the conversion ended before it was killed'));
    });
  });
}

/** Name → content of the files of a folder. */
function contentOf(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`, 'base64')]));
}

/** What lies in the place of `parent`, hidden folders included. */
const listed = (parent: string) => readdirSync(scratch.path(parent)).sort();

async function convert(out: string, ...more: string[]) {
  expect(await runCli('convert', ...FROM, '--out', out, ...more)).toMatchObject({ code: 0 });
  return contentOf(out);
}

describe('a conversion that is killed', () => {
  it('leaves no output, and the next one is the same as if it had never been', async () => {
    const expected = await convert(scratch.path('undisturbed/out'));
    const out = scratch.path('new/out');
    const pid = await killedConversion(out);
    expect(existsSync(out)).toBe(false);
    expect(listed('new')).toEqual([`.out.partial-${pid}`]);
    expect(await convert(out)).toEqual(expected);
    expect(listed('new')).toEqual(['out']);
  });

  it('leaves the old output as it was', async () => {
    const out = scratch.path('old/out');
    mkdirSync(out, { recursive: true });
    const old = Buffer.from('mine').toString('base64');
    writeFileSync(`${out}/manifest.json`, 'mine');
    await killedConversion(out);
    expect(contentOf(out)).toEqual({ 'manifest.json': old });
    expect((await convert(out, '--force'))['manifest.json']).not.toBe(old);
    expect(listed('old')).toEqual(['out']);
  });

  it('gives the old output back when it was killed between taking it away and putting the new one', async () => {
    const out = scratch.path('between/out');
    const pid = await killedConversion(out);
    mkdirSync(`${scratch.path('between')}/.out.partial-${pid}.old`);
    writeFileSync(`${scratch.path('between')}/.out.partial-${pid}.old/mine`, 'mine');
    expect((await runCli('convert', ...FROM, '--out', out)).stderr).toMatch(/exists already/);
    expect(listed('between')).toEqual(['out']);
    expect(readdirSync(out)).toEqual(['mine']);
  });

  it('is not mistaken for one that still runs, or for another output', async () => {
    const out = scratch.path('beside/out');
    const pid = await killedConversion(out);
    const parent = scratch.path('beside');
    mkdirSync(`${parent}/.out.partial-${process.pid}`);
    renameSync(`${parent}/.out.partial-${pid}`, `${parent}/.other.partial-${pid}`);
    await convert(out);
    expect(listed('beside')).toEqual([`.other.partial-${pid}`, `.out.partial-${process.pid}`, 'out'].sort());
  });
});
