import { existsSync, readFileSync } from 'node:fs';
import { readPngText } from '../../src/pipelines/png.ts';
import { unchecked } from '../unchecked.ts';
import { convertTinyModel, expectRefusal, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
beforeAll(() => convertTinyModel(model));
afterAll(() => scratch.remove());

const generate = (...args: string[]) => runCli('generate', '-m', model, '--class', '1', '--steps', '3', ...args);
const settings = (path: string) => JSON.parse(readPngText(path, readFileSync(path)).get('delta-dit') ?? '');

describe('--dtype', () => {
  it('is float32 by default, which is printed and kept in the picture', async () => {
    const path = scratch.path('default.png');
    const { code, stderr } = await generate('--backend', 'wasm', '--seed', '3', '-o', path);
    expect([code, stderr]).toEqual([0, expect.stringContaining('weights in float32, seed 3')]);
    expect(settings(path)).toMatchObject({ dtype: 'float32' });
  });

  it.each(['bfloat16', 'float16'])(
    '%s is refused by a backend that has no such weights, with what to do, and writes nothing',
    async (dtype) => {
      const path = scratch.path('refused.png');
      const text = new RegExp(
        `^error: dtype ${dtype}: wasm holds weights as float32 here\\. Take dtype float32, or run on`,
        'm',
      );
      expectRefusal(await generate('--backend', 'wasm', '--dtype', dtype, '-o', path), text);
      expectRefusal(await runCli('bench', 'load', '--rounds', '1', '--backend', 'wasm', '--dtype', dtype), text);
      expect(existsSync(path)).toBe(false);
    },
  );

  it('refuses other types', async () => {
    const { code, stderr } = await generate('--dtype', 'float64', '-o', scratch.path('odd.png'));
    expect([code, stderr]).toEqual([1, expect.stringContaining('Allowed choices are float32, bfloat16, float16')]);
  });

  it('bfloat16 is told, kept in the picture, and repeated to the byte by --from-image', async () => {
    const { stdout } = await runCli('doctor', '--json');
    if (JSON.parse(stdout).fusedOps.dtypes === undefined) return unchecked('--dtype bfloat16: it needs the fused ops');
    const [path, again] = [scratch.path('bfloat16.png'), scratch.path('again.png')];
    const made = await generate('--backend', 'tensorflow', '--dtype', 'bfloat16', '--seed', '3', '--json', '-o', path);
    expect([made.code, made.stderr]).toEqual([0, expect.stringContaining('weights in bfloat16, seed 3')]);
    expect(JSON.parse(made.stdout)).toMatchObject({ settings: { dtype: 'bfloat16' }, report: { dtype: 'bfloat16' } });
    const repeated = await runCli('generate', '--from-image', path, '--backend', 'tensorflow', '-o', again);
    expect(repeated).toMatchObject({ code: 0 });
    expect(readFileSync(again).equals(readFileSync(path))).toBe(true);
  });
});
