import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConvertOptions, convertCheckpoint } from '../../converters/convert.ts';
import { inspectCheckpoint } from '../../converters/inspect.ts';
import { openDiT } from '../../converters/open-dit.ts';
import { openPixArt } from '../../converters/open-pixart.ts';
import { openT5 } from '../../converters/open-t5.ts';
import { verifyCheckpoint } from '../../converters/verify.ts';
import { parseManifest } from '../../src/checkpoint/manifest.ts';
import { CheckpointError, OptionError } from '../../src/errors.ts';
import { T5Encoder } from '../../src/models/t5-encoder.ts';
import { PARITY } from '../support/fixtures.ts';
import { contentOf, rewriteTensors, zeros } from '../support/rewrite.ts';
import { PIXART, PIXART_SIZES } from '../support/tiny-pixart.ts';

const FOLDER = join(PIXART, 'tiny-diffusers');
const FILE = join(PIXART, 'tiny.pth');
const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-convert-pixart-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let count = 0;
async function converted(options: Omit<ConvertOptions, 'out'>): Promise<string> {
  const out = join(scratch, `converted-${count++}`);
  await convertCheckpoint({ dtype: 'float32', ...options, out });
  return out;
}
const manifestOf = (folder: string) =>
  parseManifest('manifest', readFileSync(join(folder, 'manifest.json'), 'utf8')) as Extract<
    ReturnType<typeof parseManifest>,
    { pipeline: 'PixArtPipeline' }
  >;
const refusal = (options: Omit<ConvertOptions, 'out'>) =>
  convertCheckpoint({ ...options, out: join(scratch, 'never') }).catch((error: unknown) => error);

describe('convertCheckpoint of a PixArt-α', () => {
  it('writes transformer, autoencoder, text encoder and tokenizer of a diffusers folder', async () => {
    const out = await converted({ from: FOLDER, dtype: 'float16' });
    const tokenizer = readdirSync(join(FOLDER, 'tokenizer'));
    expect(tokenizer).toContain('spiece.model');
    expect(readdirSync(out).sort()).toEqual(
      ['manifest.json', 'text_encoder.safetensors', 'transformer.safetensors', 'vae.safetensors', ...tokenizer].sort(),
    );
    const manifest = manifestOf(out);
    expect(manifest).toMatchObject({
      pipeline: 'PixArtPipeline',
      version: 1,
      numerics: 'diffusers',
      transformer: { dtype: 'F16', config: { captionChannels: 16, microConditions: false } },
      textEncoder: { dtype: 'F16', config: { hiddenSize: 16 } },
      scheduler: { _class_name: 'DPMSolverMultistepScheduler' },
    });
    expect(manifest.tokenizer.map(({ name }) => name).sort()).toEqual([...tokenizer].sort());
    for (const name of tokenizer)
      expect(readFileSync(join(out, name)).equals(readFileSync(join(FOLDER, 'tokenizer', name)))).toBe(true);
    expect(manifest.source.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['diffusion_pytorch_model.safetensors', 'model.safetensors', 'spiece.model']),
    );
  });

  it('reads back what it wrote', async () => {
    const out = await converted({ from: FOLDER, dtype: 'float16' });
    const [foreign, own] = [await openPixArt(FOLDER), await openPixArt(out)];
    expect(await contentOf(own.transformer.archive)).toEqual(await contentOf(foreign.transformer.archive));
    expect(await contentOf(own.vae.archive)).toEqual(await contentOf(foreign.vae.archive));
    expect(own.transformer.config).toEqual(foreign.transformer.config);
    expect(own.tokenizer?.name).toBe(out);
    const [foreignText, ownText] = [await foreign.openTextEncoder!(), await own.openTextEncoder!()];
    expect(await contentOf(ownText.archive)).toEqual(await contentOf(foreignText.archive));
    expect(ownText.config).toEqual(foreignText.config);
    expect([...ownText.archive.tensors.keys()]).toEqual([...T5Encoder.parameterShapes(ownText.config).keys()]);
    await Promise.all([foreign, own, foreignText, ownText].map((opened) => opened.close()));
  });

  it('writes the same bytes from an original .pth and from the diffusers folder made of its weights', async () => {
    const folder = join(scratch, 'with-null-caption'); // as the released folders are
    cpSync(FOLDER, folder, { recursive: true });
    const weights = join(folder, 'transformer/diffusion_pytorch_model.safetensors');
    const original = await openPixArt(FILE, PIXART_SIZES);
    const stored = await original.nullCaption!.read();
    await rewriteTensors(weights, weights, (tensors) => {
      const others = [...tensors];
      tensors.clear();
      tensors.set('caption_projection.y_embedding', { ...zeros([6, 16], 'F32'), read: async () => stored });
      for (const [name, tensor] of others) tensors.set(name, tensor);
    });
    await original.close();
    const [fromFile, fromFolder] = [
      await converted({
        from: FILE,
        ...PIXART_SIZES,
        textEncoder: join(FOLDER, 'text_encoder'),
        tokenizer: join(FOLDER, 'tokenizer'),
      }),
      await converted({ from: folder }),
    ];
    for (const file of ['transformer.safetensors', 'vae.safetensors', 'text_encoder.safetensors', 'spiece.model'])
      expect(readFileSync(join(fromFile, file)).equals(readFileSync(join(fromFolder, file)))).toBe(true);
    const [a, b] = [manifestOf(fromFile), manifestOf(fromFolder)];
    expect(a.transformer).toEqual(b.transformer);
    expect([a.numerics, b.numerics]).toEqual(['original', 'diffusers']);
    const again = await openPixArt(fromFile);
    expect(Buffer.from(await again.nullCaption!.read()).equals(Buffer.from(stored))).toBe(true);
    await again.close();
  });

  it('spreads a text encoder over shards, and converts its own folders again', async () => {
    const out = await converted({ from: FOLDER, shardBytes: 4000 });
    const { textEncoder } = manifestOf(out);
    expect(textEncoder!.files.length).toBeGreaterThan(2);
    expect(textEncoder!.files[0]!.name).toMatch(/^text_encoder-00001-of-000\d\d\.safetensors$/);
    const whole = await converted({ from: out });
    const direct = await converted({ from: FOLDER });
    expect(readFileSync(join(whole, 'text_encoder.safetensors'))).toEqual(
      readFileSync(join(direct, 'text_encoder.safetensors')),
    );
  });

  it('leaves the text encoder away when told to, and keeps the tokenizer', async () => {
    const out = await converted({ from: FOLDER, skipTextEncoder: true });
    expect(existsSync(join(out, 'text_encoder.safetensors'))).toBe(false);
    expect(existsSync(join(out, 'spiece.model'))).toBe(true);
    expect(manifestOf(out).textEncoder).toBeUndefined();
    const checkpoint = await openPixArt(out);
    expect(checkpoint.openTextEncoder).toBeUndefined();
    await checkpoint.close();
    await expect(openT5(out)).rejects.toThrow(/has no text encoder; give --text-encoder/);
    const given = await openPixArt(out, { textEncoder: join(FOLDER, 'text_encoder') });
    await (await given.openTextEncoder!()).close();
    await given.close();
    const bare = await converted({ from: FILE, ...PIXART_SIZES, skipTextEncoder: true });
    expect(manifestOf(bare).tokenizer).toEqual([]);
  });

  it('suggests four steps without guidance for LCM', async () => {
    const folder = join(scratch, 'lcm');
    cpSync(FOLDER, folder, { recursive: true });
    const path = join(folder, 'scheduler/scheduler_config.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('DPMSolverMultistepScheduler', 'LCMScheduler'));
    expect(manifestOf(await converted({ from: folder })).defaults).toEqual({ numInferenceSteps: 4, guidanceScale: 0 });
    const defaults = { numInferenceSteps: 8 };
    expect(manifestOf(await converted({ from: folder, defaults })).defaults).toEqual({
      numInferenceSteps: 8,
      guidanceScale: 0,
    });
  });

  it('refuses what is missing, by the option that gives it, and writes nothing', async () => {
    const file = { from: FILE, ...PIXART_SIZES };
    const tokenizer = join(FOLDER, 'tokenizer');
    const textEncoder = join(FOLDER, 'text_encoder');
    const refusals: [Omit<ConvertOptions, 'out'>, RegExp][] = [
      [{ ...file, tokenizer }, /carries no text encoder; give --text-encoder .*or --skip-text-encoder/],
      [{ ...file, textEncoder }, /carries no tokenizer; give --tokenizer/],
      [{ ...file, textEncoder, skipTextEncoder: true }, /exclude each other/],
      [{ from: FOLDER, labels: join(scratch, 'labels') }, /is a PixArt-α, for which labels means nothing/],
      [{ from: join(PARITY, 'dit-tiny-diffusers'), tokenizer }, /is a DiT, for which tokenizer means nothing/],
    ];
    for (const [options, text] of refusals) {
      const error = await refusal(options);
      expect(error).toBeInstanceOf(OptionError);
      expect((error as Error).message).toMatch(text);
    }
    expect(readdirSync(scratch).filter((name) => name.includes('never'))).toEqual([]);
  });
});

describe('a converted PixArt-α', () => {
  let whole: string;
  beforeAll(async () => {
    whole = await converted({ from: FOLDER, ...PIXART_SIZES });
  });
  const damaged = (name: string) => {
    const folder = join(scratch, name);
    cpSync(whole, folder, { recursive: true });
    return folder;
  };

  it('is verified: every file, every tensor, the tokenizer too', async () => {
    const { problems, files, nan } = await verifyCheckpoint(whole);
    expect({ problems, nan }).toEqual({ problems: [], nan: 0 });
    expect(files).toBe(readdirSync(whole).length - 1);
    const withNullCaption = await converted({ from: FILE, ...PIXART_SIZES, skipTextEncoder: true });
    expect((await verifyCheckpoint(withNullCaption)).problems).toEqual([]);
  });

  it('is found damaged, wherever it is', async () => {
    const folder = damaged('damaged');
    for (const name of ['spiece.model', 'text_encoder.safetensors']) {
      const path = join(folder, name);
      const bytes = readFileSync(path);
      bytes[bytes.length - 1] = bytes[bytes.length - 1]! ^ 1;
      writeFileSync(path, bytes);
    }
    const { problems } = await verifyCheckpoint(folder);
    expect(problems).toEqual([
      expect.stringMatching(/text_encoder\.safetensors: expected sha256/),
      expect.stringMatching(/spiece\.model: expected sha256/),
    ]);
    rmSync(join(folder, 'spiece.model'));
    expect((await verifyCheckpoint(folder)).problems[1]).toMatch(/spiece\.model: there is no such file/);
  });

  it('is refused when a file of its text encoder has another size than the manifest says', async () => {
    const folder = damaged('cut');
    const path = join(folder, 'text_encoder.safetensors');
    writeFileSync(path, readFileSync(path).subarray(0, -4));
    const checkpoint = await openPixArt(folder);
    await expect(checkpoint.openTextEncoder!()).rejects.toThrow(
      /expected \d+ bytes, got \d+; convert the checkpoint again/,
    );
    await checkpoint.close();
  });

  it('is no DiT, and a DiT is no PixArt', async () => {
    await expect(openDiT(whole)).rejects.toThrow(/expected a DiTPipeline, got a PixArtPipeline/);
    await expect(openPixArt('checkpoints/dit-emoji')).rejects.toThrow(/expected a PixArtPipeline, got a DiTPipeline/);
    const hostile = damaged('hostile');
    const manifest = { ...manifestOf(hostile), pipeline: 'StableDiffusionPipeline' };
    writeFileSync(join(hostile, 'manifest.json'), JSON.stringify(manifest));
    await expect(openPixArt(hostile)).rejects.toThrow(CheckpointError);
    await expect(openPixArt(hostile)).rejects.toThrow(/pipeline/);
  });

  it('is inspected part by part, as is its origin', async () => {
    const described = async (path: string) => (await inspectCheckpoint(path)).map(({ description }) => description);
    expect(await described(whole)).toEqual([
      'PixArt-α (depth 3, width 24, patch 2), converted',
      'AutoencoderKL, converted',
      'T5 (depth 2, width 16), converted',
    ]);
    expect(await described(FOLDER)).toEqual([
      'PixArt-α (depth 3, width 24, patch 2), layout of diffusers',
      'AutoencoderKL, layout of diffusers',
      'T5 (depth 2, width 16), layout of transformers',
    ]);
    expect(await described(join(FOLDER, 'text_encoder'))).toEqual(['T5 (depth 2, width 16), layout of transformers']);
    expect(await described(join(PARITY, 'dit-tiny-diffusers'))).toHaveLength(2);
  });
});
