import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { allElements, parseXml } from '../support/xml.ts';
import { convertTinyModel, expectRefusal, PARITY, runCli, scratchFolder, startCli } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const analyse = (...args: string[]) => runCli('analyse', '-m', model, '--backend', 'wasm', ...args);
const [picture, cached] = [scratch.path('uncached.png'), scratch.path('cached.png')];

beforeAll(async () => {
  await convertTinyModel(model);
  const make = ['generate', '-m', model, '--backend', 'wasm', '--class', '1', '--seed', '7', '--steps', '4', '-q'];
  expect((await runCli(...make, '-o', picture)).code).toBe(0);
  expect((await runCli(...make, '--cache', 'feature-cache-front', '-o', cached)).code).toBe(0);
});
afterAll(() => scratch.remove());

describe('analyse', () => {
  it('writes numbers for each step and block, with the settings, and heat maps', async () => {
    const [json, svg] = [scratch.path('a.json'), scratch.path('a.svg')];
    const classes = ['--class', '1', '--class', '4', '--count', '2', '--seed', '7'];
    const { code, stderr, stdout } = await analyse(...classes, '--steps', '3', '-o', json, '--svg', svg);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('4 pictures × 2 guidance halves, 3 steps, 3 blocks, uncached');
    expect(stderr).toMatch(/front, blocks 0–0 +\d+\.\d %/);
    expect(stderr).toMatch(
      /The front errs less than the rear (from step \d to the end|not at the end); Δ-DiT changes .* step 2 /,
    );
    expect(stderr).toContain(`Wrote ${json} and ${svg}`);
    const analysis = JSON.parse(readFileSync(json, 'utf8'));
    expect(analysis).toMatchObject({
      format: 'delta-dit-analysis',
      version: 1,
      versions: { 'delta-dit': expect.any(String), tfjs: '4.22.0' },
      settings: { backend: 'wasm', numerics: 'original', sampler: 'ddim', guidanceScale: 4, numInferenceSteps: 3 },
      timesteps: expect.any(Array),
      rows: 8,
    });
    expect(analysis.settings).toMatchObject({ subjects: ['1', '1', '4', '4'], seeds: [7, 8, 7, 8], cache: null });
    expect(analysis.blocks).toHaveLength(3);
    for (const { mean, std } of [...analysis.blocks, ...analysis.spans])
      for (const measure of ['norm', 'relativeNorm', 'cosine', 'relativeChange', 'reuseError']) {
        expect(mean[measure]).toHaveLength(3);
        expect(std[measure]).toHaveLength(3);
        expect(analysis.fields).toHaveProperty(measure);
      }
    expect(analysis.spans.map(({ region }: { region: string }) => region)).toEqual(['front', 'middle', 'rear']);
    const cells = allElements(parseXml(readFileSync(svg, 'utf8'))).filter(
      ({ attributes }) => attributes.class === 'cells',
    );
    expect(cells.map(({ children }) => children.length)).toEqual([9, 9, 9]);
  });

  it('takes timesteps instead of their number', async () => {
    const json = scratch.path('timesteps.json');
    expect((await analyse('--class', '1', '--timesteps', '950,400,10', '-o', json)).code).toBe(0);
    expect(JSON.parse(readFileSync(json, 'utf8')).timesteps).toEqual([950, 400, 10]);
    expectRefusal(await analyse('--class', '1', '--timesteps', '10,400', '-o', scratch.path('no.json')), /timesteps: /);
  });

  it('gives the same file again, with seed 0 where none is given, whatever the batch up to rounding', async () => {
    const made = async (name: string, ...args: string[]) => {
      const out = scratch.path(name);
      await analyse('--class', '1', '--steps', '2', ...args, '-q', '-o', out);
      return readFileSync(out, 'utf8');
    };
    const first = await made('first.json');
    expect(await made('again.json', '--seed', '0')).toBe(first);
    const seeds = ['--seed', '3', '--seed', '9007199254740991'];
    const [one, two] = [await made('b1.json', ...seeds, '--batch-size', '1'), await made('b2.json', ...seeds)];
    expect(JSON.parse(one).settings).toEqual(JSON.parse(two).settings);
    expect(JSON.parse(one).settings.seeds).toEqual([3, 9007199254740991]);
    const norm = (text: string): number => JSON.parse(text).blocks[2].mean.norm[1];
    expect(norm(one) / norm(two)).toBeCloseTo(1, 4);
  });

  it('writes the numbers to stdout for -o -', async () => {
    const { stdout, stderr } = await analyse('--class', '1', '--steps', '1', '-o', '-');
    expect(JSON.parse(stdout)).toMatchObject({ format: 'delta-dit-analysis', rows: 2 });
    expect(stderr).not.toContain('Wrote');
    expect(existsSync('-')).toBe(false);
  });

  it('prints nothing on success with --quiet', async () => {
    const { stdout, stderr } = await analyse('--class', '1', '--steps', '1', '-q', '-o', scratch.path('quiet.json'));
    expect(stdout + stderr).toBe('');
  });
});

describe('analyse --images', () => {
  it('prints the outline metrics of pictures against the uncached one', async () => {
    const { code, stdout, stderr } = await analyse('--images', picture, cached, '--reference', picture);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [head, first, second, note] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^picture +mean gradient +high-frequency error$/);
    expect(first).toMatch(/uncached\.png +\d+\.\d{3} +0\.0000$/);
    expect(second).toMatch(/cached\.png +\d+\.\d{3} +\d+\.\d{4}$/);
    expect(second).not.toMatch(/ 0\.0000$/);
    expect(note).toBe(`against ${picture}, beyond 0.25 cycles a pixel`);
  });

  it('prints JSON, and no error without a reference', async () => {
    const alone = JSON.parse((await analyse('--images', cached, '--json')).stdout);
    expect(alone).toMatchObject({ reference: null, pictures: [{ file: cached, width: 16, height: 16 }] });
    expect(alone.pictures[0].highFrequencyError).toBeNull();
    const compared = ['--images', cached, '--reference', picture, '--cutoff', '0.1', '--json'];
    const { cutoff, pictures } = JSON.parse((await analyse(...compared)).stdout);
    expect(cutoff).toBe(0.1);
    expect(pictures[0].meanGradient).toBe(alone.pictures[0].meanGradient);
    expect(pictures[0].highFrequencyError).toBeGreaterThan(0);
  });
});

describe('analyse refuses', () => {
  const none = scratch.path('never.json');
  const refused: [string, string[], RegExp][] = [
    ['no class', [], /--class or --prompt: expected a class of a DiT .*, or a prompt for a PixArt \(or --images\)/],
    ['an unknown class', ['--class', '1', '--class', 'unicorn'], /class: expected a number from 0 to 6.*"unicorn"/],
    ['no steps', ['--class', '1', '--steps', '0'], /numInferenceSteps: expected a whole number from 1 to 1000/],
    ['no pictures', ['--class', '1', '--count', '0'], /--count: expected at least 1/],
    ['a seed that is none', ['--class', '1', '--seed', '1.5'], /expected a whole number/],
    ['no batch', ['--class', '1', '--batch-size', '0'], /batchSize: expected a whole number from 1/],
    ['longer spans than the model', ['--class', '1', '--cached-blocks', '4'], /cachedBlocks: .* from 0 to 3/],
    ['a cache: it would hide what is measured', ['--class', '1', '--cache', 'delta-dit'], /unknown option '--cache'/],
    ['η above 1', ['--class', '1', '--eta', '2'], /eta: expected a number from 0 to 1/],
    ['an SVG in a folder that is not there', ['--class', '1', '--svg', scratch.path('no/a.svg')], /its folder is not/],
    ['one file for both', ['--class', '1', '--svg', none], /--svg .*: is the JSON file, too/],
    ['pictures and classes', ['--images', picture, '--class', '1'], /expected one of the two, got both/],
    ['pictures and prompts', ['--images', picture, '-p', 'a cat'], /--images and --prompt: expected one of the two/],
    ['a prompt for a DiT', ['-p', 'a cat'], /--prompt: .* is a DiT, which paints classes; give --class/],
    [
      'prompts and classes',
      ['-p', 'a cat', '--class', '1'],
      /--class and --prompt: expected classes of a DiT or prompts/,
    ],
    ['a width of a DiT', ['--class', '1', '-W', '64'], /--width: .* is a DiT, which paints classes in one size/],
    ['a reference of nothing', ['--class', '1', '--reference', picture], /--reference: is of --images/],
    ['a cutoff of nothing', ['--images', picture, '--cutoff', '0.2'], /--cutoff: is of --reference/],
    ['a cutoff of everything', ['--images', picture, '--reference', picture, '--cutoff', '0'], /^error: cutoff: /],
    ['pictures without a path', ['--images'], /argument missing/],
    ['a picture that is not there', ['--images', scratch.path('lost.png')], /lost\.png: no such file/],
    ['a picture that is none', ['--images', `${PARITY}/ddim.json`], /ddim\.json: is no PNG or JPEG/],
  ];
  it.each(refused)('%s', async (_, args, text) => {
    expectRefusal(await analyse('-o', none, ...args), text);
    expect(existsSync(none)).toBe(false);
  });

  it('pictures of another size than the reference, and names them', async () => {
    const grid = scratch.path('grid.png');
    const two = ['--class', '1', '--count', '2', '--steps', '1', '-q', '-o', grid];
    await runCli('generate', '-m', model, '--backend', 'wasm', ...two);
    expectRefusal(
      await analyse('--images', grid, '--reference', picture),
      /grid\.png: pictures to compare: .* 36×16 and/,
    );
  });

  it('files that exist, unless forced, before anything is made', async () => {
    const [json, svg] = [scratch.path('taken.json'), scratch.path('taken.svg')];
    writeFileSync(svg, 'mine');
    const args = ['--class', '1', '--steps', '1', '-o', json, '--svg', svg];
    expectRefusal(await analyse(...args), /taken\.svg: exists already/);
    expect([existsSync(json), readFileSync(svg, 'utf8')]).toEqual([false, 'mine']);
    expect((await analyse(...args, '--force')).code).toBe(0);
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg /);
    expect(readdirSync(scratch.path('.')).filter((name) => name.includes('partial'))).toEqual([]);
  });
});

it('stops between steps on SIGINT with exit code 130 and no file', async () => {
  const out = scratch.path('stopped.json');
  const setting = ['-m', model, '--backend', 'cpu', '--class', '1', '--steps', '1000', '-o', out];
  const program = startCli('analyse', ...setting);
  await program.says(/Backend: /);
  program.interrupt();
  const { code, stderr } = await program.ended;
  expect(stderr).toMatch(/stopped before step \d+ of 1000/);
  expect([code, existsSync(out)]).toEqual([130, false]);
});
