import { expectRefusal, PARITY, runCli } from './run-cli.ts';

const PIXART = 'test/fixtures/pixart/tiny-diffusers';
const DIT = `${PARITY}/dit-tiny-diffusers`;
const explain = (model: string, ...args: string[]) => runCli('generate', '--explain', '-m', model, ...args);
const cached = ['--steps', '4', '--cache', 'delta-dit', '--cache-option', 'cachedBlocks=2'];

describe('generate --explain of a PixArt', () => {
  it('counts captions of 120 tokens where there is no prompt, and says so', async () => {
    const { code, stdout } = await explain(PIXART, ...cached);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.filter((line) => line.endsWith('cached'))).toHaveLength(2);
    expect(stdout).toContain('1.50× fewer');
    expect(lines.at(-1)).toBe(
      '  painted at 32 × 32 px, 120 caption tokens (the longest that the model takes; --prompt counts its own)',
    );
  });

  it('counts the tokens of prompts and negative prompts, at the size that is asked for', async () => {
    const costOf = async (...args: string[]) => JSON.parse((await explain(PIXART, '--json', ...args)).stdout);
    const plain = await costOf('-p', 'a red apple');
    expect(plain).toMatchObject({ caption: 'prompts', paintedWidth: 32, paintedHeight: 32 });
    expect(plain.captionLength).toBeLessThan(60);
    const [d, inner] = [24, 14 * 24 * 24];
    expect(plain.macs.linear).toBe(20 * 3 * (inner * 16 + 2 * d * d * plain.captionLength)); // 20 steps by default
    const negative = await costOf('-p', 'a', '-n', 'a red apple');
    expect(negative.captionLength).toBe(plain.captionLength);
    const unguided = await costOf('-p', 'a', '-n', 'a red apple', '--cfg-scale', '1');
    expect(unguided.captionLength).toBeLessThan(plain.captionLength);
    expect(await costOf('-W', '64', '-H', '32')).toMatchObject({
      ...{ caption: 'longest', captionLength: 120, paintedWidth: 64, paintedHeight: 32 },
    });
  });

  it('refuses a class, and a size that it cannot paint', async () => {
    expectRefusal(
      await explain(PIXART, '--class', '1'),
      /--class: .* is a PixArt, which paints prompts; give --prompt/,
    );
    expectRefusal(await explain(PIXART, '-W', '33'), /expected multiples of 8 pixels, got 33/);
  });
});

describe('generate --explain of a DiT', () => {
  it('says nothing of captions', async () => {
    const { stdout } = await explain(DIT, ...cached);
    expect(stdout).toContain('1.50× fewer');
    expect(stdout).not.toContain('caption');
  });

  it('counts the timesteps that are given', async () => {
    const { stdout } = await explain(DIT, '--timesteps', '999,500,31', '--json');
    expect(JSON.parse(stdout).plan.steps).toHaveLength(3);
  });

  it('refuses a prompt, and a size', async () => {
    expectRefusal(await explain(DIT, '-p', 'a cat'), /--prompt: .* is a DiT, which paints classes; give --class/);
    expectRefusal(
      await explain(DIT, '-W', '64'),
      /--width: .* is a DiT, which paints classes in one size; leave it out/,
    );
  });
});
