import { readFileSync, writeFileSync } from 'node:fs';
import { expectRefusal, runCli, scratchFolder } from './run-cli.ts';

const MODEL = 'test/fixtures/pixart/tiny-diffusers';
const onModel = ['-m', MODEL, '--backend', 'wasm'];
const scratch = scratchFolder();
const prompts = scratch.path('prompts.txt');
beforeAll(() => writeFileSync(prompts, '# of the test\na red apple\n\nan icon of a cat\n'));
afterAll(() => scratch.remove());

describe('bench of a PixArt', () => {
  it('names the size, and takes what is given of pictures', async () => {
    const args = ['-p', 'a red apple', '-n', 'blue', '-W', '32', '-H', '16', '--steps', '4', '--runs', '1'];
    const { code, stdout } = await runCli('bench', ...onModel, ...args);
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toBe(
      `| ${MODEL}; delta-dit, 4 steps of dpm-solver++, guidance 4.5; 32 × 16 px; 1 at once, 1 pair | median | min | max − min |`,
    );
    const json = await runCli('bench', ...onModel, ...args, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      ...{ subjectKind: 'prompt', subjects: ['a red apple'], negativePrompts: ['blue'], width: 32, height: 16 },
    });
  });

  it('warns of a prompt whose end is not read', async () => {
    const args = ['-p', 'a red apple '.repeat(60), '--steps', '1', '--runs', '1'];
    const { stderr, code } = await runCli('bench', ...onModel, ...args);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: a prompt is too long: the model does not see ".*apple"$/m);
  });
});

describe('bench quality of a PixArt', () => {
  const quick = ['--seeds', '3', '--steps', '4', '--batch-size', '2', '--prompt-file', prompts];

  it('takes a file of prompts, and has no reference under LCM', async () => {
    const [report, sheet] = [scratch.path('quality.json'), scratch.path('sheet.png')];
    const lcm = ['--sampler', 'lcm', '--cfg-scale', '0', '-o', report, '--sheet', sheet];
    const { code, stdout } = await runCli('bench', 'quality', ...onModel, ...quick, ...lcm);
    expect(code).toBe(0);
    const rows = stdout.split('\n').filter((line) => line.startsWith('| '));
    expect(rows[0]).toBe('| method | MACs ratio | latency ratio | PSNR to 4 steps | SSIM to 4 steps | s a picture |');
    expect(stdout).toContain('3 pictures over 2 prompts, lcm, guidance 0, batches of 2');
    expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({
      ...{ subjects: ['a red apple', 'an icon of a cat', 'a red apple'], reference: null },
    });
    const { methods } = JSON.parse(readFileSync(report, 'utf8'));
    expect(readFileSync(sheet).readUInt32BE(20)).toBe(30 + 136 * methods.length);
  });

  it('has one under other samplers', async () => {
    const { stdout } = await runCli('bench', 'quality', ...onModel, ...quick, '--reference-steps', '6');
    expect(stdout).toContain('| PSNR to 6 steps | SSIM to 6 steps | nearer to 6 steps than 3 steps |');
  });
});

it('analyse writes the deltas of prompts', async () => {
  const [json, svg] = [scratch.path('a.json'), scratch.path('a.svg')];
  const args = ['-p', 'a red apple', '--prompt-file', prompts, '--count', '2', '--steps', '3'];
  const { code, stderr } = await runCli('analyse', ...onModel, ...args, '-o', json, '--svg', svg);
  expect(code).toBe(0);
  expect(stderr).toContain('6 pictures × 2 guidance halves, 3 steps, 3 blocks, uncached');
  const { settings } = JSON.parse(readFileSync(json, 'utf8'));
  const [apple, cat] = ['a red apple', 'an icon of a cat'];
  expect(settings).toMatchObject({ subjects: [apple, apple, apple, apple, cat, cat], seeds: [0, 1, 0, 1, 0, 1] });
  expect(settings).not.toHaveProperty('classes');
  expect(readFileSync(svg, 'utf8')).toContain('6 pictures of 2 prompts');
});

describe('a PixArt refuses', () => {
  const refused: [string, string[], RegExp][] = [
    ['no prompt', ['bench', ...onModel], /is a PixArt, which paints prompts; give --prompt/],
    ['a class', ['analyse', ...onModel, '--class', '1'], /--class: .* is a PixArt, which paints prompts/],
    ['an empty prompt', ['bench', ...onModel, '-p', ' '], /prompt: is empty; say what the picture should show/],
    [
      'a size in no whole patches',
      ['bench', ...onModel, '-p', 'a', '-W', '33'],
      /expected multiples of 8 pixels, got 33/,
    ],
    ['a file without prompts', ['bench', ...onModel, '--prompt-file', '/dev/null'], /\/dev\/null: holds no prompt/],
    ['a file that is not there', ['analyse', ...onModel, '--prompt-file', 'lost.txt'], /lost\.txt: cannot be read/],
    [
      'more reference steps than an LCM takes',
      ['bench', 'quality', ...onModel, '-p', 'a', '--steps', '4', '--sampler', 'lcm', '--reference-steps', '60'],
      /numInferenceSteps: expected a whole number from 1 to 50, got 60/,
    ],
  ];
  it.each(refused)('%s', async (_, args, text) => {
    expectRefusal(await runCli(...args), text);
  });
});
