import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readPngText } from '../../src/pipelines/png.ts';
import { convertTinyModel, expectRefusal, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const generate = (...args: string[]) => runCli('generate', '-m', model, '--backend', 'wasm', ...args);

/** From the header, which is the first chunk of every PNG. */
function pngSize(png: Buffer): { width: number; height: number } {
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20) };
}

beforeAll(() => convertTinyModel(model));
afterAll(() => scratch.remove());

describe('generate', () => {
  it('writes a PNG of the decoded size that carries its settings', async () => {
    const out = scratch.path('one.png');
    const { code, stderr } = await generate(
      '--class',
      '1',
      '--seed',
      '7',
      '--steps',
      '4',
      '--cache',
      'delta-dit',
      '-o',
      out,
    );
    expect(stderr).toContain('Backend: ');
    expect(code).toBe(0);
    const bytes = readFileSync(out);
    const { width, height } = pngSize(bytes);
    expect([width, height]).toEqual([16, 16]);
    const texts = readPngText(out, bytes);
    expect(texts.get('parameters')).toContain('Steps: 4, Sampler: DDIM, CFG scale: 4, Seed: 7, Size: 16x16, Model: ');
    expect(JSON.parse(texts.get('delta-dit') ?? '')).toMatchObject({
      classLabels: [1],
      seeds: [7],
      numInferenceSteps: 4,
      cache: 'delta-dit',
      numerics: 'original',
      backend: 'wasm',
    });
  });

  it('gives the same bytes for the same seed and others for another', async () => {
    const png = async (name: string, seed: string) => {
      await generate('--class', '1', '--seed', seed, '--steps', '2', '--no-metadata', '-o', scratch.path(name));
      return readFileSync(scratch.path(name));
    };
    const [first, again, other] = [await png('a.png', '7'), await png('b.png', '7'), await png('c.png', '8')];
    expect(first.equals(again)).toBe(true);
    expect(first.equals(other)).toBe(false);
    expect(readPngText('a.png', first).size).toBe(0);
  });

  it('lays classes out in rows and counted seeds in columns', async () => {
    const out = scratch.path('grid.png');
    await generate('--class', '0', '--class', '3', '--count', '3', '--seed', '1', '--steps', '1', '-o', out);
    const { width, height } = pngSize(readFileSync(out));
    expect([width, height]).toEqual([3 * 16 + 2 * 4, 2 * 16 + 4]);
    expect(JSON.parse(readPngText(out, readFileSync(out)).get('delta-dit') ?? '')).toMatchObject({
      classes: ['0', '3'],
      seeds: [1, 2, 3],
    });
  });

  it('makes each class with each seed', async () => {
    const out = scratch.path('seeds.png');
    const { stderr } = await generate('--class', '1', '--seed', '5', '--seed', '2', '--steps', '1', '-o', out);
    expect(stderr).toContain('2 pictures of 1: 1 step of ddim, guidance 4, weights in float32, seeds 5, 2');
    expect(pngSize(readFileSync(out)).width).toBe(2 * 16 + 4);
  });

  it('tells the random seed that it draws, before it starts', async () => {
    const out = scratch.path('random.png');
    const { stderr } = await generate('--class', '1', '--seed', '-1', '--steps', '1', '-o', out);
    const [, seed] = /One picture of 1: .*, seed (\d+)\n/.exec(stderr) ?? [];
    expect(JSON.parse(readPngText(out, readFileSync(out)).get('delta-dit') ?? '').seeds).toEqual([Number(seed)]);
  });

  it('compares uncached with cached', async () => {
    const out = scratch.path('compare.png');
    const { stderr } = await generate('--class', '1', '--seed', '7', '--steps', '8', '--compare', '-o', out);
    expect(stderr).toMatch(/1 \(seed 7\): PSNR \d+\.\d\d dB, SSIM \d\.\d{4}/);
    expect(stderr).toMatch(/delta-dit: .* instead of .*, \d+\.\d\d× faster sampling \(1\.20× fewer MACs/);
    expect(pngSize(readFileSync(out)).width).toBe(2 * 16 + 4);
  });

  it('explains the paper’s plan without making anything', async () => {
    const { stdout, code } = await generate(
      '--explain',
      '--cache',
      'delta-dit',
      '--steps',
      '20',
      '--cache-option',
      'cachedBlocks=2,stageBound=12',
    );
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines.filter((line) => line.endsWith('cached'))).toHaveLength(10);
    expect(lines).toContain(' 1 #.. cached');
    expect(lines).toContain('13 ..# cached');
    expect(stdout).toContain('1.50× fewer');
  });

  it('samples by name, says so in the PNG, and warns of a cache under fresh noise', async () => {
    const out = scratch.path('ddpm.png');
    const cached = ['--cache', 'delta-dit', '--cache-option', 'cachedBlocks=2'];
    const args = ['--class', '1', '--seed', '7', '--steps', '4', '--sampler', 'ddpm-original', ...cached, '-o', out];
    const { code, stderr } = await generate(...args);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: cache delta-dit under ddpm-original: the fresh noise.*\n[\s\S]*^Sampled in /m); // first
    const texts = readPngText(out, readFileSync(out));
    expect(texts.get('parameters')).toContain('Steps: 4, Sampler: DDPM (DiT), CFG scale: 4, Seed: 7');
    expect(JSON.parse(texts.get('delta-dit') ?? '')).toMatchObject({ sampler: 'ddpm-original', eta: 0 });
  });

  it('takes η', async () => {
    const out = scratch.path('eta.png');
    const { code } = await generate('--class', '1', '--steps', '2', '--eta', '0.5', '-o', out);
    expect(code).toBe(0);
    const texts = readPngText(out, readFileSync(out));
    expect(texts.get('parameters')).toContain('Sampler: DDIM, Eta: 0.5, ');
    expect(JSON.parse(texts.get('delta-dit') ?? '')).toMatchObject({ sampler: 'ddim', eta: 0.5 });
  });

  it('explains the plan of a budget', async () => {
    const budget = ['--cache', 'delta-dit', '--cache-option', 'budget=0.625', '--steps', '20'];
    const { stdout, code } = await generate('--explain', ...budget);
    expect(code).toBe(0);
    // r = 0.75 of 3 blocks is 1: 2 of 3 are cached at every second step
    expect(stdout.split('\n').filter((line) => line.endsWith('cached'))).toHaveLength(10);
    expect(stdout).toContain('1.50× fewer');
  });

  it('prints nothing on success with --quiet', async () => {
    const { stderr, stdout } = await generate('--class', '1', '--steps', '1', '-q', '-o', scratch.path('quiet.png'));
    expect(stderr + stdout).toBe('');
  });
});

describe('generate refuses', () => {
  const out = scratch.path('never.png');
  const refused: [string, string[], RegExp][] = [
    ['an unknown class', ['--class', 'unicorn'], /class: expected a number from 0 to 6.*"unicorn"/],
    ['a class beyond the last', ['--class', '7'], /class: expected a number from 0 to 6/],
    ['no class', [], /--class/],
    ['no steps', ['--class', '1', '--steps', '0'], /numInferenceSteps: expected a whole number from 1 to 1000, got 0/],
    ['too many steps', ['--class', '1', '--steps', '1001'], /from 1 to 1000, got 1001/],
    ['steps that are no number', ['--class', '1', '--steps', 'abc'], /expected a whole number/],
    ['timesteps that rise', ['--class', '1', '--timesteps', '500,999'], /timesteps: .*; got 999 after 500/],
    ['timesteps out of range', ['--class', '1', '--timesteps', '1000,5'], /from 999 down to 0, .*; got 1000/],
    ['timesteps that are none', ['--class', '1', '--timesteps', '999,,5'], /expected whole numbers with commas/],
    [
      'timesteps and steps',
      ['--class', '1', '--timesteps', '999', '--steps', '1'],
      /cannot be used with option '--steps/,
    ],
    [
      'timesteps for a sampler that lays its own',
      ['--class', '1', '--timesteps', '999', '--sampler', 'ddpm-original'],
      /timesteps: only ddim, ddpm, dpm-solver\+\+, unipc and deis take them, not ddpm-original/,
    ],
    ['to explain timesteps that rise', ['--explain', '--timesteps', '5,6'], /timesteps: .*; got 6 after 5/],
    [
      'more blocks than there are',
      ['--class', '1', '--cache', 'delta-dit', '--cache-option', 'cachedBlocks=4'],
      /cachedBlocks: expected a whole number from 0 to 3/,
    ],
    [
      'a bound beyond the steps',
      ['--class', '1', '--steps', '4', '--cache', 'delta-dit', '--cache-option', 'stageBound=5'],
      /stageBound: expected a whole number from 0 to 4/,
    ],
    ['an unknown sampler', ['--class', '1', '--sampler', 'euler'], /Allowed choices are ddim, ddpm, dpm-solver\+\+/],
    ['η above 1', ['--class', '1', '--eta', '2'], /eta: expected a number from 0 to 1, got 2/],
    ['η for DDPM', ['--class', '1', '--sampler', 'ddpm', '--eta', '1'], /eta: only ddim and ddim-original take it/],
    [
      'a budget nobody can meet',
      ['--class', '1', '--steps', '4', '--cache', 'delta-dit', '--cache-option', 'budget=0.2'],
      /budget: 4 steps cannot cost less than 0.25 of the uncached MACs/,
    ],
    [
      'a budget with an interval',
      ['--class', '1', '--cache', 'delta-dit', '--cache-option', 'budget=0.6,interval=2'],
      /budget: gives interval and cachedBlocks; expected it or them, got both/,
    ],
    ['an unknown cache', ['--class', '1', '--cache', 'magic'], /--cache: expected none, auto, delta-dit/],
    [
      'an unknown cache option',
      ['--class', '1', '--cache', 'delta-dit', '--cache-option', 'magic=1'],
      /delta-dit takes interval/,
    ],
    ['an unknown model', ['-m', 'nothing-here', '--class', '1'], /--model nothing-here: no such file/],
    ['an unknown option', ['--class', '1', '--magic'], /unknown option/],
    ['no pictures', ['--class', '1', '--count', '0'], /--count: expected at least 1/],
    ['a negative seed', ['--class', '1', '--seed', '-5'], /--seed: expected −1 for a random one, .* got -5/],
    ['a seed twice', ['--class', '1', '--seed', '5', '--seed', '5'], /--seed: 5 comes out twice/],
    ['a batch of none', ['--class', '1', '--batch-size', '0'], /--batch-size: expected at least 1, got 0/],
    [
      'an autoencoder for a model that has one',
      ['--class', '1', '--vae', 'x'],
      /--vae: .*tiny is a folder that says this/,
    ],
    ['heads for a model that says them', ['--class', '1', '--num-heads', '3'], /--num-heads: .* leave it out/],
    ['a key for a converted model', ['--explain', '--key', 'ema'], /--key: .* leave it out/],
  ];
  it.each(refused)('%s', async (_, args, text) => {
    expectRefusal(await generate(...args, '-o', out), text);
    expect(existsSync(out)).toBe(false);
  });

  it('a file that exists, unless forced', async () => {
    const taken = scratch.path('taken.png');
    writeFileSync(taken, 'mine');
    expectRefusal(
      await generate('--class', '1', '--steps', '1', '-o', taken),
      /exists already; choose another -o, or --force/,
    );
    expect(readFileSync(taken, 'utf8')).toBe('mine');
    expect((await generate('--class', '1', '--steps', '1', '-o', taken, '--force')).code).toBe(0);
  });

  it('a folder that is not there, before anything is made', async () => {
    const lost = scratch.path('no/such/folder/out.png');
    expectRefusal(
      await generate('--class', '1', '--steps', '1', '-o', lost),
      /its folder is not there or may not be written to/,
    );
    expect(existsSync(scratch.path('no'))).toBe(false);
  });

  it('a file below a file', async () => {
    const place = scratch.path('a-file');
    writeFileSync(place, '');
    expectRefusal(await generate('--class', '1', '--steps', '1', '-o', `${place}/out.png`), /its folder is not there/);
  });

  it('to explain a plan of no steps', async () => {
    expectRefusal(await generate('--explain', '--steps', '0'), /numInferenceSteps: expected a whole number from 1/);
  });

  it('a checkpoint folder that is none', async () => {
    mkdirSync(scratch.path('empty'));
    expectRefusal(
      await runCli('generate', '-m', scratch.path('empty'), '--class', '1', '-o', out),
      /expected manifest.json/,
    );
  });

  it('a converted checkpoint that was cut', async () => {
    const cut = scratch.path('cut');
    mkdirSync(cut);
    for (const name of readdirSync(model)) writeFileSync(`${cut}/${name}`, readFileSync(`${model}/${name}`));
    const file = `${cut}/transformer.safetensors`;
    writeFileSync(file, readFileSync(file).subarray(0, 1000));
    expectRefusal(await runCli('generate', '-m', cut, '--class', '1', '-o', out), /expected \d+ bytes, got 1000/);
  });
});
