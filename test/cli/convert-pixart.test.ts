import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parseManifest } from '../../src/checkpoint/manifest.ts';
import { expectRefusal, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const PIXART = 'test/fixtures/pixart';
const FOLDER = `${PIXART}/tiny-diffusers`;
const FILE = [`${PIXART}/tiny.pth`, '--num-heads', '2', '--vae', FOLDER];
const TEXT = ['--text-encoder', `${FOLDER}/text_encoder`, '--tokenizer', `${FOLDER}/tokenizer`];

describe('convert of a PixArt-α', () => {
  it('takes the whole family from files and folders given apart, and from a folder of diffusers', async () => {
    const [file, folder] = [scratch.path('file'), scratch.path('folder')];
    expect((await runCli('convert', ...FILE, ...TEXT, '--out', file)).code).toBe(0);
    expect((await runCli('convert', FOLDER, '--out', folder)).code).toBe(0);
    expect(readdirSync(file).sort()).toEqual(readdirSync(folder).sort());
    expect(readdirSync(file)).toEqual(expect.arrayContaining(['text_encoder.safetensors', 'spiece.model']));
    for (const name of ['vae.safetensors', 'text_encoder.safetensors', 'spiece.model'])
      expect(readFileSync(`${file}/${name}`).equals(readFileSync(`${folder}/${name}`))).toBe(true);
    const { code, stdout } = await runCli('verify', file);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Everything is as the manifest says/);
    const inspected = await runCli('inspect', file);
    expect(inspected.stdout).toMatch(/PixArt-α \(depth 3, width 24, patch 2\), converted/);
    expect(inspected.stdout).toMatch(/T5 \(depth 2, width 16\), converted/);
  });

  it('goes without a text encoder when told to', async () => {
    const out = scratch.path('bare');
    expect((await runCli('convert', ...FILE, '--skip-text-encoder', '--out', out)).code).toBe(0);
    expect(existsSync(`${out}/text_encoder.safetensors`)).toBe(false);
  });

  it('takes the scale of positions that a file does not tell', async () => {
    const out = scratch.path('scaled');
    const scale = ['--interpolation-scale', '2', '--skip-text-encoder'];
    await runCli('convert', `${PIXART}/ms.pth`, ...FILE.slice(1), ...scale, '--out', out);
    const manifest = parseManifest('manifest', readFileSync(`${out}/manifest.json`, 'utf8'));
    expect(manifest.transformer.config).toMatchObject({ interpolationScale: 2, microConditions: true });
  });

  it.each<[string, string[], RegExp]>([
    ['no text encoder', FILE, /give --text-encoder .*or --skip-text-encoder/],
    [
      'a text encoder that is not there',
      [...FILE, '--text-encoder', 'nowhere'],
      /--text-encoder nowhere: no such folder/,
    ],
    ['both to give one and to go without', [...FILE, ...TEXT, '--skip-text-encoder'], /exclude each other/],
  ])('refuses %s', async (_, args, text) => {
    expectRefusal(await runCli('convert', ...args, '--out', scratch.path('never')), text);
    expect(existsSync(scratch.path('never'))).toBe(false);
  });
});
