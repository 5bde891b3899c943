import { chmodSync, writeFileSync } from 'node:fs';
import { expectRefusal, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
const bench = (...args: string[]) => runCli('bench', ...args, '--backend', 'wasm', '-q', '--rounds', '1');

/** A program in the place of Python. */
function fakePython(program: string): string {
  const path = scratch.path('python');
  writeFileSync(path, `#!${process.execPath}\n${program}`);
  chmodSync(path, 0o755);
  return path;
}

describe('bench block', () => {
  it('prints a block’s time, where it goes, and what it was measured on', async () => {
    const { code, stdout } = await bench('block', '--tokens', '16', '--profile');
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toBe(
      '| block of demo on 16 tokens; 1 at once, guided; weights in float32; 1 round | median | min | max − min |',
    );
    expect(lines[2]).toMatch(/^\| a block, ms \| \d/);
    const parts = lines.filter((line) => line.endsWith(' % |')).map((line) => Number(line.split('|')[2]));
    const all = parts.pop()!;
    expect(parts).toHaveLength(7);
    expect(Math.abs(parts.reduce((sum, ms) => sum + ms, 0) - all)).toBeLessThan(0.05); // rounding
    expect(stdout).toMatch(/\n\nWebAssembly.*tfjs 4\.22\.0, delta-dit /);
  });

  it('refuses what it cannot do', async () => {
    expectRefusal(await bench('block', '--size', 'huge'), /size: expected one of demo, .*PixArt-1024; got "huge"/);
    expectRefusal(await runCli('bench', 'block', '--rounds', '0'), /--rounds: expected at least 1, got 0/);
    expectRefusal(await bench('block', '--batch-size', '0'), /--batch-size: expected at least 1, got 0/);
    expectRefusal(await bench('block', '--tokens', '0'), /--tokens: expected at least 1, got 0/);
    expectRefusal(await bench('block', '--against', 'jax'), /Allowed choices are pytorch/);
    const against = ['block', '--tokens', '4', '--against', 'pytorch', '--python'];
    expectRefusal(await bench(...against, '/no/python'), /--python \/no\/python: cannot be run: .*ENOENT/);
    const noTorch = fakePython(`console.log('{"error": "No module named torch; install it"}')`);
    expectRefusal(await bench(...against, noTorch), /--python .*: No module named torch; install it/);
    const dying = fakePython(`console.error('out of memory'); process.exit(1)`);
    expectRefusal(await bench(...against, dying), /--python .*: ended with 1: out of memory/);
    const other = fakePython(`
      console.log('{"ready": "fake"}');
      require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
        if (line === 'run') return console.log('{"ms": 1}');
        require('node:fs').writeFileSync(line.slice(7), Buffer.alloc(8));
        console.log('{"shape": [2]}');
      });`);
    expectRefusal(await bench(...against, other), /PyTorch computes something else: its result is of \[2\], ours of/);
  });
});

it('bench model prints JSON', async () => {
  const { code, stdout } = await bench('model', '--json', '--profile');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    ...{ task: 'model', size: 'demo', batchSize: 1, rounds: 1, pytorch: null },
    ms: { median: expect.any(Number), spread: 0 },
    profile: { parts: { linear: expect.any(Number) }, outsideBlocks: expect.any(Number) },
    environment: { gpu: false },
  });
});

describe('bench image', () => {
  it('times steps and decoding, uncached and cached', async () => {
    const { code, stdout } = await bench('image', '--steps', '2', '--cache', 'delta-dit');
    expect(code).toBe(0);
    const [head, , ...rows] = stdout.split('\n');
    expect(head).toBe(
      '| dit-emoji; 1 at once; 2 steps of ddim, guidance 3; float32; 1 round | median | min | max − min |',
    );
    const stages = (of: string) => ['whole picture', 'sampling', 'decoding'].map((stage) => `| ${stage}, ${of}`);
    const names = rows.slice(0, rows.indexOf('')).map((row) => row.split(' | ')[0]);
    expect(names).toEqual([...stages('uncached, s'), ...stages('delta-dit, s')]);
  });

  it('takes prompts, encoded before, and prints JSON', async () => {
    const prompts = ['-m', 'test/fixtures/pixart/tiny-diffusers', '-p', 'a red apple', '-p', 'a cat'];
    const { code, stdout } = await bench('image', ...prompts, '--batch-size', '2', '--steps', '2', '--json');
    expect(code).toBe(0);
    const { name, numInferenceSteps, uncached, cached, pytorch } = JSON.parse(stdout);
    expect([name, numInferenceSteps, cached, pytorch]).toEqual(['test/fixtures/pixart/tiny-diffusers', 2, null, null]);
    const { sampling, decoding, picture } = uncached.seconds;
    expect(sampling.median + decoding.median).toBeCloseTo(picture.median, 9);
  });

  it('refuses what it cannot do', async () => {
    const tiny = ['image', '-m', 'test/fixtures/parity/dit-tiny-diffusers', '--steps', '2'];
    expectRefusal(await bench(...tiny, '-p', 'a cat'), /--prompt: .* is a DiT, which paints classes/);
    expectRefusal(await bench(...tiny, '--class', '99999'), /class: expected a number from 0 to/);
    expectRefusal(await bench(...tiny, '--size', 'demo'), /--size.*cannot be used with.*--model/);
    expectRefusal(await bench('image', '-m', 'pixart-emoji'), /is a PixArt, which paints prompts; give --prompt/);
    const against = [...tiny, '--against', 'pytorch', '--python'];
    expectRefusal(await bench(...against, '/no/python'), /--python \/no\/python: cannot be run: .*ENOENT/);
    const bare = fakePython(`console.log('{"error": "No module named diffusers; python -m pip install diffusers"}')`);
    expectRefusal(await bench(...against, bare), /--python .*: No module named diffusers; .* pip install diffusers/);
    const other = fakePython(`
      console.log('{"ready": "fake"}');
      require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
        if (line === 'run') return console.log('{"ms": 2, "stages": {"latents": 1, "output": 1}}');
        require('node:fs').writeFileSync(line.replace(/^[a-z]+ /, ''), Buffer.alloc(8));
        console.log('{"shape": [2]}');
      });`);
    expectRefusal(await bench(...against, other), /PyTorch computes something else: its result is of \[2\], ours of/);
  });
});

describe('bench load', () => {
  it('times random weights', async () => {
    const { code, stdout } = await bench('load');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^\| transformer of demo with random weights in float32, held in float32, 33\.\d MB, from the (disk|system’s cache.*); 1 /,
    );
    expect(stdout).toMatch(/\n\| speed ratio, loading ÷ reading \| \d/);
    expect(stdout).toMatch(/Peak memory above idle: \d+ MB, \d+\.\d\d × the weights as held \(34 MB\)/);
  });

  it('times a checkpoint', async () => {
    const { code, stdout } = await bench('load', '--checkpoint', 'dit-emoji', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'dit-emoji, held in float32',
      rounds: 1,
      heldBytes: expect.any(Number),
    });
    expectRefusal(await bench('load', '--checkpoint', 'nothing'), /no such file or folder/);
  });
});
