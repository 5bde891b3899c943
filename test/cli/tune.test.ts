import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
const onModel = ['-m', model, '--backend', 'wasm'];
const QUICK = ['--samples', '1', '--held-out', '2', '--placements', '0', '--reference-steps', '25'];
const tune = (...args: string[]) => runCli('tune', ...onModel, ...QUICK, ...args);

beforeAll(async () => {
  const vae = `${PARITY}/dit-tiny-diffusers`;
  const { code } = await runCli('convert', `${PARITY}/dit-tiny.pt`, '--out', model, '--num-heads', '4', '--vae', vae);
  expect(code).toBe(0);
});
afterAll(() => scratch.remove());

describe('tune', () => {
  it('prints the frontier and writes nothing where a goal is out of reach, unless it is told to', async () => {
    const file = scratch.path('nearest.json');
    const { code, stdout, stderr } = await tune('--target-speedup', '900', '-o', file);
    expect(stderr).toMatch(
      /--target-speedup 900: nothing that was tried reaches it .*nearest: .+× at .+ dB; nothing was/,
    );
    expect([code, existsSync(file)]).toEqual([1, false]);
    expect(stdout).toMatch(
      /^\| way to sample, 2 held-out pictures \| × 20 DDIM steps \| min – max \| PSNR to 25, dB \|/,
    );
    expect(stdout).toContain('| yes |');
  }, 600_000); // several searches

  it('writes a plan that its run takes, and others refuse by what differs', async () => {
    const file = scratch.path('plan.json');
    const { stderr } = await tune('--target-speedup', '3', '-o', file, '--or-nearest');
    expect(stderr).toContain(`Wrote ${file}`);
    const { method, fingerprint, measured } = JSON.parse(readFileSync(file, 'utf8'));
    expect([method, fingerprint.guidanceScale, measured.pictures]).toEqual(['tuned', 4, 2]);
    expect(fingerprint.sha256.length).toBeGreaterThan(0);
    const generate = (...args: string[]) =>
      runCli('generate', ...onModel, '--class', '1', '--seed', '3', '--cache', file, '--force', ...args);
    expect((await generate('-o', scratch.path('tuned.png'))).code).toBe(0);
    const other = fingerprint.sampler === 'unipc' ? 'deis' : 'unipc';
    const out = scratch.path('other.png');
    expectRefusal(await generate('-o', out, '--sampler', other), /cache tuned: calibrated for another run: sampler/);
    expectRefusal(await generate('-o', out, '--steps', '77'), /cache tuned: calibrated for another run: steps/);
    expectRefusal(await generate('-o', out, '--cfg-scale', '2'), /guidance scale 4, not 2/);
    expect(existsSync(out)).toBe(false);
  });

  it('makes a plan that its checkpoint may carry', async () => {
    const carried = join(model, 'cache-plan.json');
    copyFileSync(scratch.path('plan.json'), carried);
    const verified = await runCli('verify', model);
    expect([verified.code, verified.stdout]).toEqual([
      0,
      expect.stringMatching(/cache-plan.json: tuned, .* these weights/),
    ]);
    expect((await runCli('inspect', model)).code).toBe(0);
    const explained = await runCli('generate', '-m', model, '--cache', 'auto', '--explain');
    expect(explained.stdout).toMatch(/^auto: steps from noise/);
    writeFileSync(carried, readFileSync(carried, 'utf8').replace(/"[0-9a-f]{64}"/, `"${'0'.repeat(64)}"`));
    expectRefusal(await runCli('verify', model), /cache-plan.json: made for other weights/);
    const out = scratch.path('other.png');
    const generated = runCli('generate', ...onModel, '--class', '1', '--cache', 'auto', '-o', out);
    expectRefusal(await generated, /cache tuned: calibrated for another run: other weights/);
  });

  it.each<[string[], RegExp]>([
    [[], /--target-speedup and --min-psnr: expected one of the two, got neither/],
    [['--min-psnr', '30', '--target-speedup', '2'], /expected one of the two, got both/],
    [['--min-psnr', '-1'], /expected a positive goal, got -1/],
    [['--target-speedup', '2', '--samples', '0'], /samples: expected a whole number from 1/],
  ])('refuses %j', async (args, message) => {
    expectRefusal(await tune(...args, '-o', scratch.path('refused.json')), message);
  });
});
