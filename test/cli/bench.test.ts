import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const onModel = ['-m', model, '--backend', 'wasm'];
const bench = (...args: string[]) => runCli('bench', ...onModel, ...args);
const quality = (...args: string[]) => runCli('bench', 'quality', ...onModel, ...args);
const PLAN = {
  ...{ format: 'delta-dit-cache', version: 1, method: 'tuned' },
  fingerprint: { sampler: 'deis', timesteps: [950, 600, 300, 20], numInferenceSteps: 4 },
  plan: {
    ...{ depth: 3, branches: ['self', 'mlp'], keeps: 'output', predictor: { name: 'taylor', order: 1 } },
    steps: ['', 'model', 'model', ''],
  },
};
const QUICK = ['--seeds', '3', '--steps', '4', '--reference-steps', '5', '--batch-size', '2'];

beforeAll(async () => {
  const vae = `${PARITY}/dit-tiny-diffusers`;
  const { code } = await runCli('convert', `${PARITY}/dit-tiny.pt`, '--out', model, '--num-heads', '4', '--vae', vae);
  expect(code).toBe(0);
});
afterAll(() => scratch.remove());

describe('bench', () => {
  it('prints ratios first, then times, and what they were measured on', async () => {
    const { code, stdout, stderr } = await bench('--steps', '4', '--runs', '2', '--cache-option', 'cachedBlocks=2');
    expect(stderr).toContain('Backend: WebAssembly');
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toBe(
      `| ${model}; delta-dit, 4 steps of ddim, guidance 4; 1 at once, 2 pairs | median | min | max − min |`,
    );
    expect(lines[2]).toMatch(/^\| latency ratio, uncached ÷ cached \| \*\*\d+\.\d\d\*\* \| \d+\.\d\d \| \d+\.\d\d \|$/);
    expect(lines[3]).toBe('| MACs ratio, blocks alone | 1.50 |  |  |');
    expect(lines.slice(4, 9).map((line) => line.split(' | ')[0])).toEqual([
      '| sampling uncached, s',
      '| sampling cached, s',
      '| a step uncached, s',
      '| a full step, s',
      '| a cached step, s',
    ]);
    expect(stdout).toMatch(
      /\n\nWebAssembly.*; .*, \d+ CPUs?.*; \w+ \w+; Node \d+\.\d+\.\d+, tfjs 4\.22\.0, delta-dit /,
    );
  });

  it('prints JSON alone with --json, and is "bench latency"', async () => {
    const args = ['--json', '--steps', '4', '--runs', '1', '--batch-size', '2', '--cfg-scale', '1', '-q'];
    const { stdout, stderr, code } = await runCli('bench', 'latency', ...onModel, ...args);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({
      macsRatio: 12 / 10, // 1 of 3 blocks at every second step
      latencyRatio: expect.any(Number),
      ratio: { min: expect.any(Number), median: expect.any(Number), spread: 0 },
      uncachedSeconds: { min: expect.any(Number) },
      cachedSeconds: { min: expect.any(Number) },
      pairs: [{ first: 'uncached', ratio: expect.any(Number) }],
      batchSize: 2,
      guidanceScale: 1,
      cache: 'delta-dit',
      environment: { gpu: false, cpus: expect.any(Number), versions: { node: process.versions.node } },
    });
  });

  it('times a plan of a file beside the same steps without it', async () => {
    const plan = scratch.path('plan.json');
    writeFileSync(plan, JSON.stringify(PLAN));
    const { stdout, code } = await bench('--cache', plan, '--runs', '1', '--json');
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ cache: 'tuned', sampler: 'deis', numInferenceSteps: 4, macsRatio: 2 });
    expectRefusal(
      await bench('--cache', plan, '--steps', '5'),
      /cache tuned: calibrated for another run: steps 4, not 5/,
    );
    expectRefusal(
      await bench('--cache', 'auto'),
      /cache: 'auto' is the plan that a checkpoint carries, and this one has none/,
    );
    expectRefusal(await bench('--cache', 'auto', '--cache-option', 'interval=2'), /--cache auto takes none/);
  });

  it('takes timesteps', async () => {
    const { stdout } = await bench('--timesteps', '900,500,100', '--sampler', 'unipc', '--runs', '1', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ numInferenceSteps: 3, sampler: 'unipc' });
    expectRefusal(await bench('--timesteps', '5,900'), /timesteps: /);
    expectRefusal(await bench('--timesteps', '900,5', '--steps', '2'), /--timesteps.*cannot be used with.*--steps/);
    const compared = await quality(
      ...QUICK.filter((_, i) => i !== 2 && i !== 3),
      '--timesteps',
      '900,700,400,20',
      '--json',
    );
    const { numInferenceSteps, methods } = JSON.parse(compared.stdout);
    expect([numInferenceSteps, methods[0].method]).toEqual([4, '4 steps']);
  });

  it('times random weights of a size', async () => {
    const args = ['--size', 'DiT-S/8-256', '--backend', 'wasm', '--runs', '1', '--steps', '2', '--json'];
    const { stdout, code } = await runCli('bench', ...args);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      model: 'DiT-S/8-256 with random weights',
      parameters: 33_142_016,
      backend: 'wasm',
    });
  });

  const refused: [string, string[], RegExp][] = [
    ['no runs', ['--runs', '0'], /--runs: expected at least 1, got 0/],
    ['runs that are no number', ['--runs', 'many'], /expected a whole number/],
    ['no pictures', ['--batch-size', '0'], /--batch-size: expected at least 1, got 0/],
    ['no steps', ['--steps', '0'], /numInferenceSteps: expected a whole number from 1 to 1000, got 0/],
    ['no cache', ['--cache', 'none'], /--cache none: only a method can be timed/],
    ['an unknown cache', ['--cache', 'magic'], /--cache: expected none, auto, delta-dit/],
    ['blocks that are not there', ['--cache-option', 'cachedBlocks=4'], /cachedBlocks: .* from 0 to 3/],
    [
      'a model and a size',
      ['--size', 'DiT-S/8-256'],
      /'--size <name>' cannot be used with option '-m, --model <name>'/,
    ],
    ['another measurement', ['magic'], /too many arguments/],
  ];
  it.each(refused)('refuses %s', async (_, args, text) => {
    expectRefusal(await bench(...args), text);
  });

  it('times random weights of a PixArt, as far as they fit in memory', async () => {
    const large = ['--size', 'PixArt-XL/2-1024', '--backend', 'wasm', '-W', '1024', '-H', '2048'];
    expectRefusal(
      await runCli('bench', ...large),
      /PixArt-XL\/2-1024 with random weights: one picture would take about/,
    );
    const oneSize = await runCli('bench', '--size', 'DiT-S/8-256', '-W', '64');
    expectRefusal(oneSize, /--width and --height: DiT-S\/8-256 paints one size; leave them out/);
    const both = await runCli('bench', '--size', 'PixArt-XL/2-512', '-p', 'a red apple');
    expectRefusal(both, /'--size <name>' cannot be used with option '-p, --prompt <text>'/);
  });

  it('takes the classes that are named', async () => {
    const args = ['--json', '--steps', '2', '--runs', '1', '--batch-size', '3', '--class', '4', '--class', '1', '-q'];
    const { stdout, code } = await bench(...args);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ subjectKind: 'class', subjects: ['4', '1', '4'] });
  });

  it('refuses an unknown size, and one that does not fit in memory', async () => {
    expectRefusal(await runCli('bench', '--size', 'DiT-XXL/2'), /size: expected one of DiT-S\/2-256, .*"DiT-XXL\/2"/);
    const large = ['--size', 'DiT-XL/2-512', '--backend', 'wasm', '--batch-size', '8'];
    expectRefusal(await runCli('bench', ...large), /DiT-XL\/2-512 with random weights: 8 pictures at once would take/);
  });
});

describe('bench quality', () => {
  it('prints a row a method', async () => {
    const { code, stdout } = await quality(...QUICK);
    expect(code).toBe(0);
    const rows = stdout.split('\n').filter((line) => line.startsWith('| '));
    expect(rows[0]).toBe(
      '| method | MACs ratio | latency ratio | PSNR to 4 steps | SSIM to 4 steps | PSNR to 5 steps | SSIM to 5 steps | nearer to 5 steps than 3 steps | s a picture |',
    );
    expect(rows[1]).toMatch(
      /^\| 4 steps \| 1\.00 \| 1\.00 \| – \| – \| \d+\.\d\d ± \d+\.\d\d \(\d+\.\d\d\) \| 0\.\d{4} \| \d \| /,
    );
    expect(rows[2]).toMatch(/^\| delta-dit \| 1\.20 \| \d+\.\d\d \| \d/);
    expect(rows.at(-1)).toMatch(/^\| 3 steps \| 1\.33 \| .* \| – \| /);
    expect(stdout).toContain(
      '3 pictures over 3 classes, ddim, guidance 4, batches of 2, the same initial noise for all.',
    );
  });

  it('writes the numbers of every picture and a sheet', async () => {
    const [report, sheet] = [scratch.path('quality.json'), scratch.path('sheet.png')];
    const { code, stdout, stderr } = await quality(...QUICK, '--json', '-o', report, '--sheet', sheet);
    expect(code).toBe(0);
    expect(stderr).toContain(`Wrote ${report} and ${sheet}`);
    const content = JSON.parse(readFileSync(report, 'utf8'));
    expect(JSON.parse(stdout)).toEqual(content);
    expect(content).toMatchObject({ seeds: [0, 1, 2], subjects: ['0', '1', '2'], numInferenceSteps: 4, batchSize: 2 });
    expect(content.sha256).toHaveLength(2);
    const [uncached, cached] = content.methods;
    expect([uncached.method, uncached.toUncached, cached.method]).toEqual(['4 steps', null, 'delta-dit']);
    expect(cached.pictures).toHaveLength(3);
    expect(cached.pictures[2]).toMatchObject({ seed: 2, subject: '2', toReference: { ssim: expect.any(Number) } });
    const png = readFileSync(sheet);
    expect(png.subarray(1, 4).toString('latin1')).toBe('PNG');
    expect(png.readUInt32BE(20)).toBe(30 + 136 * (1 + content.methods.length)); // the reference is a row, too
  });

  it('refuses what it cannot do, before it starts', async () => {
    const taken = scratch.path('taken.json');
    writeFileSync(taken, 'mine');
    expectRefusal(await quality('--seeds', '0'), /--seeds: expected at least 1, got 0/);
    expectRefusal(
      await quality('--steps', '4', '--reference-steps', '3'),
      /referenceSteps: .* from 4 to 1000 .*, got 3/,
    );
    expectRefusal(await quality(...QUICK, '-o', taken), /exists already; choose another -o, or --force/);
    expect(readFileSync(taken, 'utf8')).toBe('mine');
    expectRefusal(await quality('--size', 'DiT-S/8-256'), /unknown option '--size'/);
  });

  it('stops on SIGINT with exit code 130, and writes nothing', async () => {
    const out = scratch.path('never.json');
    const args = ['-m', model, '--backend', 'cpu', '--steps', '1000', '--reference-steps', '1000', '-o', out];
    const child = spawn('node', ['bin/delta-dit.mjs', 'bench', 'quality', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    const code = await new Promise<number | null>((resolve) => {
      child.stderr.on('data', (text) => {
        stderr += text;
        if (stderr.includes('Backend: ')) setTimeout(() => child.kill('SIGINT'), 1500);
      });
      child.on('exit', resolve);
    });
    expect({ code, stopped: /stopped before step \d+ of 1000/.test(stderr), out: existsSync(out) }).toEqual({
      code: 130,
      stopped: true,
      out: false,
    });
  });
});
