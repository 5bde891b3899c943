import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Jimp } from 'jimp';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { relativeL2Of } from '../support/compare.ts';
import { readFixture } from '../support/fixtures.ts';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const EMOJI = 'test/fixtures/emoji.png';
const scratch = scratchFolder();
afterAll(() => scratch.remove());
const vae = (...args: string[]) => runCli('vae', '--backend', 'wasm', ...args);

/** A picture file of one colour. */
async function paint(name: string, width: number, height: number, color = 0x3366ccff): Promise<string> {
  const image = new Jimp({ width, height, color });
  const path = scratch.path(name);
  writeFileSync(path, await image.getBuffer(name.endsWith('.png') ? 'image/png' : 'image/jpeg'));
  return path;
}

function write(name: string, bytes: Uint8Array | string): string {
  writeFileSync(scratch.path(name), bytes);
  return scratch.path(name);
}

describe('vae', () => {
  it('gives an emoji back by the shipped model as well as diffusers does, on white', async () => {
    const out = scratch.path('emoji.png');
    const { code, stdout, stderr } = await vae(EMOJI, '-o', out);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^Backend: .*\nWrote .*emoji\.png\n$/) });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual([`${EMOJI}: 64×64 pixels`, 'latents [1, 16, 16, 4], the mean']);
    const [, psnr, ssim] = /^PSNR (\d+\.\d\d) dB, SSIM (0\.\d{4})$/.exec(lines[2] ?? '') ?? [];
    const fixture = await readFixture('emoji-encoding.safetensors');
    expect(Math.abs(Number(psnr) - Number(fixture.metadata.get('psnr')))).toBeLessThan(0.03);
    expect(Number(psnr)).toBeGreaterThan(25);
    expect(Number(ssim)).toBeGreaterThan(0.8);
    expect(lines[3]).toMatch(/^encoded in .* s, decoded in .* s$/);
    const header = readFileSync(out);
    expect([header.readUInt32BE(16), header.readUInt32BE(20)]).toEqual([64, 64]);
  });

  it('draws latents as diffusers does, and writes them with their distribution', async () => {
    const [out, latents] = [scratch.path('drawn.png'), scratch.path('drawn.safetensors')];
    const { code, stdout, stderr } = await vae(EMOJI, '--sample', '--seed', '7', '--latents', latents, '-o', out);
    expect(code).toBe(0);
    expect(stdout).toContain('latents [1, 16, 16, 4], drawn with seed 7\n');
    expect(stderr).toContain(`Wrote ${latents} and ${out}\n`);
    const fixture = await readFixture('emoji-encoding.safetensors');
    const archive = await openSafetensors(await fileSource(latents));
    expect(archive.metadata.get('scaling_factor')).toBe('1');
    for (const [name, expected] of [
      ['latents', 'sample'],
      ['mean', 'mean'],
      ['logvar', 'logvar'],
    ] as const) {
      const tensor = archive.tensors.get(name)!;
      expect(tensor.shape).toEqual([1, 4, 16, 16]);
      const values = toFloat32(await tensor.read(), tensor.dtype);
      expect(relativeL2Of(values, fixture.get(expected).values)).toBeLessThan(1e-4);
    }
    await archive.close();
  });

  it('makes sides multiples of the scale, and reads and writes JPEG', async () => {
    const out = scratch.path('resized.jpg');
    const { code, stdout } = await vae(await paint('odd.jpg', 38, 27), '-o', out);
    expect(code).toBe(0);
    expect(stdout).toMatch(/odd\.jpg: 38×27 pixels, resized to 36×24, multiples of 4 \(Lanczos, as diffusers does\)\n/);
    expect(stdout).toContain('latents [1, 6, 9, 4]');
    expect([...readFileSync(out).subarray(0, 3)]).toEqual([0xff, 0xd8, 0xff]);
  });

  it.each([
    ['a diffusers folder', [`${PARITY}/vae-deep`]],
    ['a Stable Diffusion file', [`${PARITY}/vae-deep-ldm.ckpt`, '--vae-norm-groups', '4']],
  ])('takes %s, and says nothing with --quiet', async (_, [path = '', ...sizes]) => {
    const out = scratch.path(`${sizes.length}.png`);
    const { code, stdout, stderr } = await vae(
      await paint('small.png', 8, 9),
      '--vae',
      path,
      ...sizes,
      '-q',
      '-o',
      out,
    );
    expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: '' });
    expect(existsSync(out)).toBe(true);
  });

  it('writes a PNG to stdout, and what it has to say to stderr', async () => {
    const { code, stdout, stderr } = await vae(EMOJI, '-o', '-');
    expect(code).toBe(0);
    expect(stdout.slice(1, 4)).toBe('PNG');
    expect(stderr).toMatch(/^Backend: .*\n.*64×64 pixels\n(.*\n){3}$/);
  });

  it('says that a picture is too small for SSIM', async () => {
    const { stdout } = await vae(await paint('tiny.png', 8, 8), '-o', scratch.path('tiny-out.png'));
    expect(stdout).toMatch(/^PSNR \d+\.\d\d dB, no SSIM below 11×11 pixels$/m);
  });
});

describe('vae refuses', () => {
  const emoji = readFileSync(EMOJI);
  const out = scratch.path('never.png');
  const claimed = Buffer.from(emoji);
  claimed.writeUInt32BE(100_000, 16);
  claimed.writeUInt32BE(100_000, 20);
  const damaged = Buffer.from(emoji);
  damaged.fill(0, 1000, 1100);

  const refused: [string, () => string[] | Promise<string[]>, RegExp][] = [
    ['a file that is not there', () => [scratch.path('none.png')], /none\.png: no such file; give the path of a PNG/],
    ['a folder', () => [PARITY], /parity: could not be read \(EISDIR/],
    ['a text', () => [write('text.png', 'no picture')], /text\.png: is no PNG or JPEG picture/],
    ['an empty file', () => [write('empty.png', '')], /empty\.png: is no PNG or JPEG picture/],
    ['a PNG cut short', () => [write('cut.png', emoji.subarray(0, 1500))], /the PNG file is damaged, cut short/],
    ['a PNG cut in its header', () => [write('head.png', emoji.subarray(0, 20))], /the PNG file is damaged, cut short/],
    ['a damaged PNG', () => [write('damaged.png', damaged)], /the PNG file is damaged, cut short/],
    [
      'a PNG that claims to be huge',
      () => [write('huge.png', claimed)],
      /100000×100000 are more than 100 million pixels/,
    ],
    [
      'a JPEG cut short',
      async () => [write('cut.jpg', readFileSync(await paint('whole.jpg', 64, 64)).subarray(0, 640))],
      /the JPEG file is damaged, cut short/,
    ],
    [
      'a picture smaller than a latent',
      async () => [await paint('3.png', 3, 9)],
      /expected at least 4×4 pixels for this autoencoder, got 3×9/,
    ],
    [
      'a picture that does not fit in memory',
      async () => [await paint('large.png', 2200, 2200), '--backend', 'wasm'],
      /large\.png: encoding and decoding 2200×2200 pixels would take about \d+\.\d GB of memory.*give a smaller picture/,
    ],
    ['a seed without --sample', () => [EMOJI, '--seed', '3'], /--seed 3: is the noise of --sample/],
    ['a seed that is none', () => [EMOJI, '--sample', '--seed', '-3'], /--seed: expected −1 for a random one/],
    ['one name for both files', () => [EMOJI, '--latents', out], /--latents .*never\.png: is the file of -o too/],
    ['two autoencoders', () => [EMOJI, '-m', 'dit-emoji', '--vae', PARITY], /cannot be used with option/],
    [
      'an autoencoder that is not there',
      () => [EMOJI, '--vae', scratch.path('none')],
      /--vae .*none: no such file or folder/,
    ],
    ['a model that is not there', () => [EMOJI, '-m', 'nothing-here'], /--model nothing-here: no such file/],
    ['weights of another model', () => [EMOJI, '-m', `${PARITY}/dit-tiny.pt`], /holds no AutoencoderKL/],
  ];
  it.each(refused)('%s', async (_, args, text) => {
    expectRefusal(await vae(...(await args()), '-o', out), text);
    expect(existsSync(out)).toBe(false);
  });

  it('an autoencoder without an encoder, saying what to give', async () => {
    const archive = await openCheckpointFile(
      await fileSource(join(PARITY, 'vae-deep/diffusion_pytorch_model.safetensors')),
    );
    const decoder = [...archive.tensors.values()].filter(({ name }) => /^(decoder|post_quant_conv)\./.test(name));
    const pieces: Uint8Array[] = [];
    await writeSafetensors(async (piece) => void pieces.push(piece.slice()), decoder);
    await archive.close();
    const path = write('decoder.safetensors', Buffer.concat(pieces));
    const result = await vae(EMOJI, '--vae', path, '--vae-norm-groups', '4', '-o', out);
    expectRefusal(result, /decoder\.safetensors: .*no encoder.*give --vae with a whole autoencoder, or convert/);
  });

  it('files that exist, unless forced, before anything is made', async () => {
    const [picture, latents] = [write('taken.png', 'mine'), write('taken.safetensors', 'mine')];
    const fresh = scratch.path('fresh.png');
    expectRefusal(await vae(EMOJI, '-o', picture), /taken\.png: exists already/);
    expectRefusal(await vae(EMOJI, '--latents', latents, '-o', fresh), /taken\.safetensors: exists already/);
    expect(existsSync(fresh)).toBe(false);
    expect([picture, latents].map((path) => readFileSync(path, 'utf8'))).toEqual(['mine', 'mine']);
    expect((await vae(EMOJI, '--latents', latents, '-o', picture, '--force')).code).toBe(0);
  });

  it('names that are no pictures’, and folders', async () => {
    mkdirSync(scratch.path('folder.png'));
    expectRefusal(
      await vae(EMOJI, '-o', scratch.path('out.webp')),
      /expected a name that ends in \.png, \.jpg or \.jpeg/,
    );
    expectRefusal(await vae(EMOJI, '-o', scratch.path('folder.png'), '--force'), /folder\.png: is a folder/);
    expect(readdirSync(scratch.path('folder.png'))).toEqual([]);
  });
});
