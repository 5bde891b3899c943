import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseManifest } from '../../src/checkpoint/manifest.ts';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const FROM_ORIGINAL = [`${PARITY}/dit-tiny.pt`, '--num-heads', '4', '--vae', `${PARITY}/dit-tiny-diffusers`];

describe('convert', () => {
  it('writes a manifest that parses, byte-identical on a second run', async () => {
    for (const name of ['first', 'second']) {
      const { code } = await runCli('convert', ...FROM_ORIGINAL, '--out', scratch.path(name));
      expect(code).toBe(0);
    }
    const files = readdirSync(scratch.path('first'));
    expect(files.sort()).toEqual(['manifest.json', 'transformer.safetensors', 'vae.safetensors']);
    for (const file of files) {
      const [first, second] = ['first', 'second'].map((name) => readFileSync(`${scratch.path(name)}/${file}`));
      expect(first?.equals(second as Buffer)).toBe(true);
    }
    const manifest = parseManifest('manifest', readFileSync(`${scratch.path('first')}/manifest.json`, 'utf8'));
    expect(manifest).toMatchObject({ numerics: 'original', transformer: { dtype: 'F16' }, labels: [] });
    expect(manifest.source[0]).toMatchObject({
      name: 'dit-tiny.pt',
      bytes: readFileSync(`${PARITY}/dit-tiny.pt`).length,
    });
  });

  it('takes the averaged weights of a training file, or those that --key names', async () => {
    const converted = async (name: string, ...key: string[]) => {
      const { code } = await runCli('convert', ...FROM_ORIGINAL, ...key, '--out', scratch.path(name));
      expect(code).toBe(0);
      return readFileSync(`${scratch.path(name)}/transformer.safetensors`);
    };
    const [first, ema, model] = [
      readFileSync(`${scratch.path('first')}/transformer.safetensors`),
      await converted('ema', '--key', 'ema'),
      await converted('model', '--key', 'model'),
    ];
    expect(ema.equals(first)).toBe(true);
    expect(model.equals(first)).toBe(false);
    expectRefusal(
      await runCli('convert', ...FROM_ORIGINAL, '--key', 'none', '--out', scratch.path('never')),
      /no key "none"; its keys are model, ema/,
    );
  });

  it('takes an autoencoder out of a Stable Diffusion file', async () => {
    const sizes = ['--vae-norm-groups', '4', '--vae-scaling-factor', '0.13025'];
    const vaeOf = async (name: string, ...vae: string[]) => {
      const args = [`${PARITY}/dit-tiny.pt`, '--num-heads', '4', '--vae', ...vae, '--out', scratch.path(name)];
      expect((await runCli('convert', ...args)).code).toBe(0);
      const { vae: component } = parseManifest('manifest', readFileSync(`${scratch.path(name)}/manifest.json`, 'utf8'));
      return component;
    };
    expect(await vaeOf('ldm', `${PARITY}/vae-deep-ldm.ckpt`, ...sizes)).toEqual(
      await vaeOf('deep', `${PARITY}/vae-deep`),
    );
  });

  it('takes labels and the numerics from a diffusers folder', async () => {
    const out = scratch.path('diffusers');
    await runCli('convert', `${PARITY}/dit-tiny-diffusers`, '--out', out, '--dtype', 'float32');
    const manifest = parseManifest('manifest', readFileSync(`${out}/manifest.json`, 'utf8'));
    expect(manifest).toMatchObject({
      numerics: 'diffusers',
      transformer: { dtype: 'F32', config: { frequencyShift: 1, normEps: 1e-5 } },
    });
    expect(manifest).toHaveProperty('labels.length', 7);
  });

  it('refuses a folder that exists; --force replaces a checkpoint and nothing else', async () => {
    const out = scratch.path('taken');
    mkdirSync(out);
    writeFileSync(`${out}/mine`, 'mine');
    expectRefusal(await runCli('convert', ...FROM_ORIGINAL, '--out', out), /exists already/);
    expectRefusal(
      await runCli('convert', ...FROM_ORIGINAL, '--out', out, '--force'),
      /holds other files and no manifest.json/,
    );
    expect(readdirSync(out)).toEqual(['mine']);
    const checkpoint = scratch.path('replaced');
    for (const force of [[], ['--force']]) {
      expect((await runCli('convert', ...FROM_ORIGINAL, '--out', checkpoint, ...force)).code).toBe(0);
    }
    expect(readdirSync(checkpoint).sort()).toEqual(['manifest.json', 'transformer.safetensors', 'vae.safetensors']);
  });

  it('takes class names from a file, and refuses another number of them', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    writeFileSync(scratch.path('labels.txt'), names.join('\n'));
    const out = scratch.path('labelled');
    await runCli('convert', ...FROM_ORIGINAL, '--labels', scratch.path('labels.txt'), '--out', out);
    expect(parseManifest('manifest', readFileSync(`${out}/manifest.json`, 'utf8'))).toMatchObject({ labels: names });
    writeFileSync(scratch.path('few.json'), '["a", "b"]');
    const few = await runCli(
      'convert',
      ...FROM_ORIGINAL,
      '--labels',
      scratch.path('few.json'),
      '--out',
      scratch.path('never'),
    );
    expectRefusal(few, /expected names for 7 classes, got 2/);
  });

  const bad: [string, string[], RegExp][] = [
    ['no autoencoder', [`${PARITY}/dit-tiny.pt`, '--num-heads', '4'], /carries no autoencoder; give --vae/],
    [
      'heads that cannot be inferred',
      [`${PARITY}/dit-tiny.pt`, '--vae', `${PARITY}/dit-tiny-diffusers`],
      /give --num-heads/,
    ],
    ['heads that do not divide the width', [...FROM_ORIGINAL, '--num-heads', '5'], /numHeads/],
    ['a file that is not there', ['nothing.pt'], /nothing.pt: no such file/],
    [
      'an autoencoder as the model',
      [`${PARITY}/dit-tiny-diffusers/vae/diffusion_pytorch_model.safetensors`, '--vae', `${PARITY}/vae-deep`],
      /x_embedder.proj.weight is missing/,
    ],
  ];
  it.each(bad)('refuses %s', async (_, args, text) => {
    const out = scratch.path('never');
    expectRefusal(await runCli('convert', ...args, '--out', out), text);
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(scratch.path('.')).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('refuses a truncated file and leaves nothing behind', async () => {
    const cut = scratch.path('cut.pt');
    const whole = readFileSync(`${PARITY}/dit-tiny.pt`);
    writeFileSync(cut, whole.subarray(0, whole.length >> 1));
    expectRefusal(
      await runCli(
        'convert',
        cut,
        '--num-heads',
        '4',
        '--vae',
        `${PARITY}/dit-tiny-diffusers`,
        '--out',
        scratch.path('never'),
      ),
      /cut\.pt/,
    );
    expect(existsSync(scratch.path('never'))).toBe(false);
  });

  it('refuses a flipped byte in a tensor by its checksum', async () => {
    const damaged = scratch.path('damaged.pt');
    const bytes = Buffer.from(readFileSync(`${PARITY}/dit-tiny.pt`));
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 0x40;
    writeFileSync(damaged, bytes);
    expectRefusal(
      await runCli(
        'convert',
        damaged,
        '--num-heads',
        '4',
        '--vae',
        `${PARITY}/dit-tiny-diffusers`,
        '--out',
        scratch.path('never'),
      ),
      /checksum|CRC/i,
    );
    expect(existsSync(scratch.path('never'))).toBe(false);
  });

  it('refuses an output below a file', async () => {
    writeFileSync(scratch.path('file'), '');
    expectRefusal(await runCli('convert', ...FROM_ORIGINAL, '--out', `${scratch.path('file')}/out`), /no folder/);
  });
});

describe('inspect', () => {
  it('draws the tensors and names the model', async () => {
    const { stdout } = await runCli('inspect', `${PARITY}/dit-tiny.pt`);
    expect(stdout).toContain('layout of facebookresearch/DiT');
    expect(stdout).toMatch(/blocks\n\s+0…2\n/);
    expect(stdout).toContain('weight  F32 [144, 48]');
  });

  it('says which weights of a training file it looks at', async () => {
    expect((await runCli('inspect', `${PARITY}/dit-tiny.pt`)).stdout).toContain('dit-tiny.pt (ema): DiT');
    expect((await runCli('inspect', `${PARITY}/dit-tiny.pt`, '--key', 'model')).stdout).toContain('(model): DiT');
    expectRefusal(await runCli('inspect', `${PARITY}/dit-tiny.pt`, '--key', 'args'), /found none in this argparse/);
  });

  it('looks at both components of a diffusers folder', async () => {
    const { stdout } = await runCli('inspect', `${PARITY}/dit-tiny-diffusers`);
    expect(stdout).toContain('layout of diffusers');
    expect(stdout).toContain('AutoencoderKL');
  });

  it('says what a file is not', async () => {
    const text = scratch.path('text.pt');
    writeFileSync(text, 'hello, this is no checkpoint at all');
    expectRefusal(await runCli('inspect', text), /not read/);
  });
});

describe('verify', () => {
  it('says that a folder is as it was written', async () => {
    const { code, stdout } = await runCli('verify', scratch.path('first'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/2 files, \d+ tensors, \d\.\d MB, 0 NaN, 0 infinite\nEverything is as the manifest says/);
  });

  it('lists everything that is wrong', async () => {
    const out = scratch.path('second');
    const [transformer, vae] = [`${out}/transformer.safetensors`, `${out}/vae.safetensors`];
    const bytes = readFileSync(transformer);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    writeFileSync(transformer, bytes);
    writeFileSync(vae, readFileSync(vae).subarray(0, -8));
    expectRefusal(
      await runCli('verify', out),
      /4 problems.*\n.*transformer\.safetensors: expected sha256.*\n.*vae\.safetensors: expected \d+ bytes/,
    );
  });

  it('refuses what has no manifest', async () => {
    expectRefusal(await runCli('verify', `${PARITY}/dit-tiny-diffusers`), /has no manifest\.json/);
  });
});
