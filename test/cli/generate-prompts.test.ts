import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { parseSettings } from '../../src/cli/stored-settings.ts';
import { readPngText } from '../../src/pipelines/png.ts';
import { expectRefusal, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const FOLDER = 'test/fixtures/pixart/tiny-diffusers';
const model = scratch.path('tiny');
const bare = scratch.path('bare');
const QUICK = ['generate', '-m', model, '--backend', 'wasm', '--steps', '2', '--cfg-scale', '3'];
const generate = (...args: string[]) => runCli(...QUICK, ...args);
const settingsOf = (path: string) => parseSettings(path, readPngText(path, readFileSync(path)).get('delta-dit') ?? '');

function fileOf(name: string, content: string): string {
  writeFileSync(scratch.path(name), content);
  return scratch.path(name);
}

beforeAll(async () => {
  for (const [out, ...args] of [[model], [bare, '--skip-text-encoder']] as const)
    expect((await runCli('convert', FOLDER, '--out', out, ...args)).code).toBe(0);
});
afterAll(() => scratch.remove());

describe('generate -p', () => {
  it('paints a prompt in the size that was asked for, and repeats the picture', async () => {
    const out = scratch.path('one.png');
    const args = [
      '-p',
      'A  Red apple',
      '-n',
      'green',
      '-W',
      '48',
      '-H',
      '32',
      '-s',
      '7',
      '--cache',
      'delta-dit',
      '--json',
    ];
    const { code, stdout, stderr } = await generate(...args, '-o', out);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('One picture of "A  Red apple"'),
    });
    const result = JSON.parse(stdout);
    expect(result.pictures).toEqual([{ file: out, prompt: 'A  Red apple', seed: 7 }]);
    expect(result.report).toMatchObject({
      prompts: ['a red apple'],
      negativePrompts: ['green'],
      width: 48,
      height: 32,
    });
    expect(result.seconds.encoding).toBeGreaterThan(0);
    expect(settingsOf(out)).toMatchObject({
      pipeline: 'PixArtPipeline',
      prompts: ['A  Red apple'],
      negativePrompt: 'green',
      cleanPrompt: true,
      width: 48,
      height: 32,
      cache: 'delta-dit',
    });
    const again = scratch.path('again.png');
    expect((await runCli('generate', '--from-image', out, '--backend', 'wasm', '-o', again)).code).toBe(0);
    expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
  });

  it('says which end of a prompt the model does not see', async () => {
    const { code, stderr } = await generate('-p', `${'very '.repeat(150)}red`, '-o', scratch.path('long.png'));
    expect(code).toBe(0);
    expect(stderr).toMatch(/warning: "very very .*…" is too long: the model does not see ".*very red"/);
  });

  it('reads the switches of the original', async () => {
    const name = scratch.path('size-{index}.png');
    const prompts = ['-p', 'a cat --hw 32:48', '-p', 'a cat'];
    expect((await generate(...prompts, '-o', name)).code).toBe(0);
    const sizes = [1, 2].map((i) => settingsOf(scratch.path(`size-${i}.png`)));
    expect(sizes.map(({ width, height }) => [width, height])).toEqual([
      [48, 32],
      [32, 32],
    ]);
    expect(sizes[0]).toMatchObject({ prompts: ['a cat --hw 32:48'] });
    expectRefusal(await generate(...prompts, '-o', scratch.path('sheet.png')), /pictures of several sizes .*\{index\}/);
    expectRefusal(await generate('-p', 'a cat --ar 3:4'), /--ar: .* was trained on 32 × 32 pixels alone.*--width/);
    expectRefusal(await generate('-p', 'a cat --ar 3'), /--prompt "a cat --ar 3": --ar 3: expected height:width/);
  });
});

describe('generate --prompt-file', () => {
  it('makes each picture that can be made, and ends with an error for the others', async () => {
    const prompts = fileOf(
      'prompts.txt',
      '# two that work\na red apple\n\n***\na blue heart --hw 33:32\nan icon of a cat\n',
    );
    const result = await generate(
      '--prompt-file',
      prompts,
      '-s',
      '1',
      '-o',
      scratch.path('p{index}-{prompt}.png'),
      '--json',
    );
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/failed: "\*\*\*": the prompt says nothing/);
    expect(result.stderr).toMatch(/failed: "a blue heart --hw 33:32": .*expected multiples of/);
    expect(result.stderr).toMatch(/error: 2 prompts were left out, .*of 4 pictures/);
    const made = ['p1-a-red-apple.png', 'p4-an-icon-of-a-cat.png'].map(scratch.path);
    expect(made.map((path) => existsSync(path))).toEqual([true, true]);
    expect(existsSync(scratch.path('p3-a-blue-heart-hw-33-32.png'))).toBe(false);
    const { files, failed, pictures } = JSON.parse(result.stdout);
    expect(files).toEqual(made);
    expect(pictures).toHaveLength(2);
    expect(failed).toHaveLength(2);
  });

  it('refuses a file of which nothing can be made', async () => {
    expectRefusal(await generate('--prompt-file', fileOf('empty.txt', '\n# none\n')), /empty\.txt: holds no prompt/);
    expectRefusal(await generate('--prompt-file', fileOf('odd.txt', '***\n')), /no prompt in it will do.*says nothing/);
    expectRefusal(await generate('--prompt-file', scratch.path('none.txt')), /none\.txt: cannot be read/);
  });
});

describe('generate --save-embeds and --embeds', () => {
  const embeds = scratch.path('prompts.safetensors');
  const out = (name: string) => scratch.path(`${name}-{index}.png`);

  it('give the same pictures, without a text encoder, too', async () => {
    const prompts = ['-p', 'a red apple', '-p', 'An icon of a cat', '-s', '3'];
    const saved = await generate(...prompts, '--save-embeds', embeds, '-o', out('saved'));
    expect(saved.code).toBe(0);
    const read = ['--embeds', embeds, '-s', '3', '--no-metadata'];
    for (const [name, folder] of [
      ['read', model],
      ['bare', bare],
    ] as const)
      expect((await runCli(...QUICK, '-m', folder, ...read, '-o', out(name))).code).toBe(0);
    expect((await generate(...prompts, '--no-metadata', '-o', out('plain'))).code).toBe(0);
    for (const i of [1, 2]) {
      const want = readFileSync(scratch.path(`plain-${i}.png`));
      for (const name of ['read', 'bare'])
        expect(readFileSync(scratch.path(`${name}-${i}.png`)).equals(want)).toBe(true);
    }
  });

  it('repeat one picture of them', async () => {
    const one = scratch.path('picked.png');
    const picked = ['--embeds', embeds, '-p', 'an icon of a cat', '-s', '3'];
    expect((await runCli(...QUICK, '-m', bare, ...picked, '-o', one)).code).toBe(0);
    const again = scratch.path('picked-again.png');
    expect((await runCli('generate', '--from-image', one, '--backend', 'wasm', '-o', again)).code).toBe(0);
    expect(readFileSync(again).equals(readFileSync(one))).toBe(true);
  });

  it('refuse what is not in the file, and another negative prompt where nothing encodes it', async () => {
    const of = (...args: string[]) =>
      runCli(...QUICK, '-m', bare, '--embeds', embeds, '-o', scratch.path('no.png'), ...args);
    expectRefusal(await of('-p', 'a dog'), /--prompt "a dog": .* does not hold it; it holds "a red apple"/);
    expectRefusal(await of('-n', 'snow'), /has no text encoder/);
    expectRefusal(
      await of('--save-embeds', scratch.path('x')),
      /--save-embeds: there is nothing to encode with --embeds/,
    );
    expectRefusal(await generate('--embeds', scratch.path('one.png')), /one\.png/);
    expect(existsSync(scratch.path('no.png'))).toBe(false);
  });
});

describe('generate refuses', () => {
  afterEach(() => rmSync('out.png', { force: true }));
  const refused: [string, string[], RegExp][] = [
    ['nothing to paint', [], /--class or --prompt: expected/],
    ['a class for a PixArt', ['--class', 'heart'], /--class: .* is a PixArt, which paints prompts; give --prompt/],
    [
      'a prompt for a DiT',
      ['-m', 'dit-emoji', '-p', 'a cat'],
      /--prompt: .* is a DiT, which paints classes; give --class/,
    ],
    ['a size for a DiT', ['-m', 'dit-emoji', '--class', '1', '-W', '64'], /--width: .* is a DiT/],
    ['both', ['--class', '1', '-p', 'a cat'], /--class and --prompt: expected one of the two/],
    ['an empty prompt', ['-p', ' '], /--prompt " ": the prompt says nothing/],
    ['a prompt of 10,001 characters', ['-p', 'x'.repeat(10_001)], /expected at most 10000 characters, got 10001/],
    ['a size of no whole patches', ['-p', 'a cat', '-W', '33'], /expected multiples of 8 pixels, got 33 × 32/],
    ['two sizes', ['-p', 'a cat', '--ar', '1:1', '-W', '32'], /--ar: is a size, and so are --width and --height/],
    ['a model without a text encoder', ['-m', bare, '-p', 'a cat'], /has no text encoder.*--text-encoder.*--embeds/],
  ];
  it.each(refused)('%s', async (_, args, text) =>
    expectRefusal(await generate(...args, '-o', scratch.path('never.png')), text),
  );
});
