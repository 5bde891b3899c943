import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseSettings } from '../../src/cli/stored-settings.ts';
import { readPngText } from '../../src/pipelines/png.ts';
import { convertTinyModel, expectRefusal, runCli, runCliForBytes, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const QUICK = ['generate', '-m', model, '--backend', 'wasm', '--steps', '2'];
const generate = (...args: string[]) => runCli(...QUICK, ...args);
const settingsOf = (path: string) => parseSettings(path, readPngText(path, readFileSync(path)).get('delta-dit') ?? '');

beforeAll(() => convertTinyModel(model));
afterAll(() => scratch.remove());

describe('generate -o with placeholders', () => {
  it('writes a file for each picture, each with its own settings', async () => {
    const name = scratch.path('{index}-{class}-{seed}.png');
    const args = ['--class', '1', '--class', '5', '--seed', '7', '--seed', '9', '--batch-size', '3'];
    const { code, stderr } = await generate(...args, '-o', name);
    expect(code).toBe(0);
    const files = ['1-1-7.png', '2-1-9.png', '3-5-7.png', '4-5-9.png'];
    expect(readdirSync(scratch.path('.')).filter((file) => file.endsWith('.png'))).toEqual(files);
    for (const [i, file] of files.entries()) {
      expect(settingsOf(scratch.path(file))).toMatchObject({
        classes: [i < 2 ? '1' : '5'],
        classLabels: [i < 2 ? 1 : 5],
        seeds: [i % 2 === 0 ? 7 : 9],
        width: 16,
      });
      expect(stderr).toContain(`Wrote ${scratch.path(file)}`);
    }
  });

  it('replaces nothing, and says so before any work', async () => {
    const name = scratch.path('taken-{seed}.png');
    writeFileSync(scratch.path('taken-8.png'), 'mine');
    const args = ['--class', '1', '--seed', '7', '--count', '3', '-o', name];
    const refused = await generate(...args);
    expectRefusal(refused, /taken-8\.png: exists already; choose another -o, or --force/);
    expect(refused.stderr).not.toContain('Backend');
    expect(existsSync(scratch.path('taken-7.png'))).toBe(false);
    expect((await generate(...args, '--force')).code).toBe(0);
    expect(settingsOf(scratch.path('taken-8.png')).seeds).toEqual([8]);
  });

  it('refuses a name that two pictures would get', async () => {
    const args = ['--class', '1', '--class', '2', '--seed', '7', '-o', scratch.path('same-{seed}.png')];
    expectRefusal(await generate(...args), /two pictures would be .*same-7\.png; add \{index\}/);
  });

  it('refuses a sheet of comparisons for each', async () => {
    const args = ['--class', '1', '--compare', '-o', scratch.path('{seed}.png')];
    expectRefusal(await generate(...args), /--compare: writes one sheet/);
  });
});

describe('generate -o', () => {
  it('- writes the PNG to stdout, and nothing else', async () => {
    const { code, stdout, stderr } = await runCliForBytes(...QUICK, '--class', '1', '--seed', '3', '-o', '-');
    expect(code).toBe(0);
    expect(stderr).toContain('Sampled in ');
    expect(readPngText('stdout', stdout).get('parameters')).toContain('Seed: 3');
    const file = scratch.path('same-as-stdout.png');
    await generate('--class', '1', '--seed', '3', '-o', file);
    expect(stdout.equals(readFileSync(file))).toBe(true);
  });

  it('with .jpg writes a JPEG, and says that it carries no settings', async () => {
    const out = scratch.path('out.jpg');
    const { code, stderr } = await generate('--class', '1', '-o', out);
    expect(code).toBe(0);
    expect([...readFileSync(out).subarray(0, 3)]).toEqual([0xff, 0xd8, 0xff]);
    expect(stderr).toMatch(/warning: .*out\.jpg: a JPEG carries no settings; a name that ends in \.png keeps them/);
  });

  const refused: [string, string[], RegExp][] = [
    ['an extension that it does not write', ['-o', scratch.path('out.webp')], /expected a name that ends in \.png/],
    ['JSON and a picture on stdout', ['-o', '-', '--json'], /--json: prints on stdout, and so does -o -/],
    ['a preview of stdout', ['-o', '-', '--preview-every', '1'], /--preview-every: not with -o -/],
    ['no preview step', ['--preview-every', '0'], /--preview-every: expected at least 1 step, got 0/],
  ];
  it.each(refused)('refuses %s', async (_, args, text) => {
    expectRefusal(await generate('--class', '1', ...args), text);
  });
});

describe('generate --json', () => {
  it('prints one object on stdout: files, settings, times, report', async () => {
    const name = scratch.path('json-{seed}.png');
    const cache = ['--cache', 'delta-dit', '--cache-option', 'cachedBlocks=2', '--steps', '4'];
    const { code, stdout, stderr } = await generate(
      '--class',
      '1',
      '--seed',
      '4',
      '--count',
      '2',
      ...cache,
      '-o',
      name,
      '--json',
    );
    expect(code).toBe(0);
    const files = [scratch.path('json-4.png'), scratch.path('json-5.png')];
    expect(JSON.parse(stdout)).toMatchObject({
      files,
      pictures: [
        { file: files[0], class: '1', seed: 4 },
        { file: files[1], class: '1', seed: 5 },
      ],
      settings: { classes: ['1'], seeds: [4, 5], numInferenceSteps: 4, cache: 'delta-dit' },
      seconds: { loading: expect.any(Number), sampling: expect.any(Number), total: expect.any(Number) },
      report: { macs: { macsRatio: 1.5 }, cache: 'delta-dit', blocksReused: 4, timesteps: [750, 500, 250, 0] },
    });
    expect(stderr).toContain('Backend: ');
  });

  it('tells how far the cache moves each picture, with --compare', async () => {
    const args = ['--class', '1', '--seed', '7', '--steps', '8', '--compare', '--json', '-q'];
    const { stdout, stderr } = await generate(...args, '-o', scratch.path('json-compare.png'));
    expect(stderr).toBe('');
    const { comparison, settings } = JSON.parse(stdout);
    expect(comparison.pictures).toEqual([{ class: '1', seed: 7, psnr: expect.any(Number), ssim: expect.any(Number) }]);
    expect(comparison.uncached.cache).toBeNull();
    expect(settings.compare).toBe(true);
  });

  it('prints the plan, with --explain', async () => {
    const { stdout } = await generate(
      '--explain',
      '--cache',
      'delta-dit',
      '--cache-option',
      'cachedBlocks=2',
      '--json',
    );
    expect(JSON.parse(stdout)).toMatchObject({
      cache: 'delta-dit',
      plan: { depth: 3 },
      uncachedMacs: { macsRatio: 1 },
    });
  });
});

describe('generate --preview-every', () => {
  it('leaves nothing beside the pictures, and changes none', async () => {
    const [plain, seen] = [scratch.path('plain.png'), scratch.path('seen-{index}.png')];
    await generate('--class', '1', '--seed', '3', '--steps', '4', '-o', plain);
    const args = ['--class', '1', '--seed', '3', '--steps', '4', '--preview-every', '2', '-o', seen];
    expect((await generate(...args)).code).toBe(0);
    expect(readFileSync(scratch.path('seen-1.png')).equals(readFileSync(plain))).toBe(true);
    expect(readdirSync(scratch.path('.')).filter((file) => file.includes('preview'))).toEqual([]);
  });

  it('replaces no file that is there', async () => {
    writeFileSync(scratch.path('mine.preview.png'), 'mine');
    const args = ['--class', '1', '--preview-every', '1', '-o', scratch.path('mine.png')];
    expectRefusal(await generate(...args), /mine\.preview\.png: exists already/);
    expect(readFileSync(scratch.path('mine.preview.png'), 'utf8')).toBe('mine');
  });
});

describe('generate with too little memory', () => {
  it('says so before weights are read, and tries it when told to', async () => {
    const huge = scratch.path('huge');
    mkdirSync(huge);
    for (const name of readdirSync(model)) writeFileSync(`${huge}/${name}`, readFileSync(`${model}/${name}`));
    const manifest = JSON.parse(readFileSync(`${huge}/manifest.json`, 'utf8'));
    Object.assign(manifest.transformer.config, { hiddenSize: 65536, numHeads: 16, depth: 100 });
    writeFileSync(`${huge}/manifest.json`, JSON.stringify(manifest));
    const args = ['generate', '-m', huge, '--backend', 'wasm', '--class', '1', '-o', scratch.path('never.png')];
    expectRefusal(
      await runCli(...args),
      /huge: one picture would take about \d{5,}\.\d GB of memory, and \d+\.\d GB .*; .*--force-memory tries it all the same/,
    );
    expectRefusal(await runCli(...args, '--force-memory'), /do not make this model/);
  });
});
