import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detectModel } from '../../converters/detect-model.ts';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { mapTensors } from '../../converters/key-maps/key-map.ts';
import { pixArtDiffusers } from '../../converters/key-maps/pixart-diffusers.ts';
import { pipelineOf } from '../../converters/open-checkpoint.ts';
import { openDiT } from '../../converters/open-dit.ts';
import { openPixArt } from '../../converters/open-pixart.ts';
import { pixArtConfigFromDiffusers } from '../../converters/pixart-configs.ts';
import { toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FileError, OptionError } from '../../src/errors.ts';
import { PixArt } from '../../src/models/pixart.ts';
import { PARITY } from '../support/fixtures.ts';
import { contentOf, rewriteTensors, zeros } from '../support/rewrite.ts';
import { PIXART, PIXART_SIZES } from '../support/tiny-pixart.ts';

const FOLDER = join(PIXART, 'tiny-diffusers');
const FILE = join(PIXART, 'tiny.pth');
const WEIGHTS = 'diffusion_pytorch_model.safetensors';

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-pixart-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function valuesOf({ tensors }: TensorArchive): Promise<ReadonlyMap<string, number[]>> {
  const values = new Map<string, number[]>();
  for (const [name, { dtype, read }] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1)))
    values.set(name, Array.from(toFloat32(await read(), dtype)));
  return values;
}

/** A copy of the diffusers folder, its transformer's tensors and configuration changed. */
async function changedFolder(
  name: string,
  change: (tensors: Map<string, StoredTensor>) => void,
  config: object = {},
): Promise<string> {
  const folder = join(scratch, name);
  cpSync(FOLDER, folder, { recursive: true });
  await rewriteTensors(join(FOLDER, 'transformer', WEIGHTS), join(folder, 'transformer', WEIGHTS), change);
  const path = join(folder, 'transformer/config.json');
  const changed = { ...JSON.parse(readFileSync(path, 'utf8')), ...config };
  writeFileSync(path, JSON.stringify(changed)); // what is undefined is left out
  return folder;
}

/** A file of the original layout, its tensors changed. */
async function changedFile(name: string, change: (tensors: Map<string, StoredTensor>) => void): Promise<string> {
  const path = join(scratch, `${name}.safetensors`);
  await rewriteTensors(FILE, path, change);
  return path;
}

describe('the layouts of PixArt-α', () => {
  it('give the same numbers from an original .pth and from a diffusers folder', async () => {
    const [original, diffusers] = [await openPixArt(FILE, PIXART_SIZES), await openPixArt(FOLDER)];
    expect(await valuesOf(original.transformer.archive)).toEqual(await valuesOf(diffusers.transformer.archive));
    expect(original.transformer.config).toEqual(diffusers.transformer.config);
    expect(original.transformer.config).toMatchObject({
      hiddenSize: 24,
      depth: 3,
      numHeads: 2,
      inputSize: 8,
      captionChannels: 16,
      interpolationScale: 1,
      microConditions: false,
    });
    expect([original.numerics, diffusers.numerics]).toEqual(['original', 'diffusers']);
    expect(original.scheduler).toMatchObject({ _class_name: 'DPMSolverMultistepScheduler', beta_schedule: 'linear' });
    expect(diffusers.scheduler).toMatchObject({ _class_name: 'DPMSolverMultistepScheduler' });
    await Promise.all([original.close(), diffusers.close()]);
  });

  it('give the same bytes with micro-conditions, from half precision', async () => {
    const original = await openPixArt(join(PIXART, 'ms.pth'), { ...PIXART_SIZES, interpolationScale: 2 });
    const folder = join(PIXART, 'ms-transformer');
    const config = pixArtConfigFromDiffusers(folder, JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')));
    expect(config).toEqual(original.transformer.config);
    expect(config).toMatchObject({ interpolationScale: 2, microConditions: true });
    const foreign = await openCheckpointFile(await fileSource(join(folder, WEIGHTS)));
    const parameters = PixArt.parameterShapes(config);
    const mapped = mapTensors(foreign, pixArtDiffusers(config), { depth: config.depth, parameters });
    expect(await contentOf(mapped)).toEqual(await contentOf(original.transformer.archive));
    expect([...mapped.tensors.keys()].filter((name) => /^(csize|ar)_embedder/.test(name))).toHaveLength(8);
    await Promise.all([original.close(), foreign.close()]);
  });

  it('keep the null caption apart: always in a .pth, where it was left in a folder of diffusers', async () => {
    const [original, diffusers] = [await openPixArt(FILE, PIXART_SIZES), await openPixArt(FOLDER)];
    expect(original.nullCaption?.shape).toEqual([6, 16]);
    expect(original.transformer.archive.tensors.has('y_embedder.y_embedding')).toBe(false);
    expect(diffusers.nullCaption).toBeUndefined();
    const stored = await original.nullCaption!.read();
    const old = await openPixArt(
      await changedFolder('old', (tensors) => {
        const nullCaption = { ...zeros([6, 16], 'F32'), read: async () => stored };
        const first = [...tensors];
        tensors.clear();
        for (const [name, tensor] of [['caption_projection.y_embedding', nullCaption] as const, ...first])
          tensors.set(name, tensor);
      }),
    );
    expect(old.nullCaption?.shape).toEqual([6, 16]);
    expect(Buffer.from(await old.nullCaption!.read()).equals(Buffer.from(stored))).toBe(true);
    await Promise.all([original.close(), diffusers.close(), old.close()]);
  });

  it('take `state_dict` from a training file, or what --key names', async () => {
    const opened = async (key?: string) => {
      const { transformer, close } = await openPixArt(FILE, { ...PIXART_SIZES, key });
      const content = await contentOf(transformer.archive);
      await close();
      return content;
    };
    const first = await opened();
    expect(await opened('state_dict')).toEqual(first);
    expect(await opened('state_dict_ema')).not.toEqual(first);
  });

  it('ignore a stored position table of any size, unless it tells the latent’s', async () => {
    const other = await changedFile('positions', (tensors) => tensors.set('pos_embed', zeros([1, 256, 24], 'F32')));
    const { transformer, close } = await openPixArt(other, PIXART_SIZES);
    expect(transformer.config.inputSize).toBe(32);
    await close();
    const none = await changedFile('none', (tensors) => tensors.delete('pos_embed'));
    await expect(openPixArt(none, PIXART_SIZES)).rejects.toThrow(/give --input-size/);
    const given = await openPixArt(none, { ...PIXART_SIZES, inputSize: 128 });
    expect(given.transformer.config).toMatchObject({ inputSize: 128, interpolationScale: 2 });
    await given.close();
  });
});

describe('diffusers’ transformer/config.json', () => {
  const config = (change: object) => pixArtConfigFromDiffusers('config.json', { caption_channels: 4096, ...change });

  it('has the defaults of PixArt-α 1024-MS', () => {
    expect(config({})).toMatchObject({
      hiddenSize: 1152,
      depth: 28,
      numHeads: 16,
      inputSize: 128,
      outChannels: 8,
      interpolationScale: 2,
      microConditions: true,
      normEps: 1e-6,
    });
  });

  it('decides by the size of the latent where it says nothing of positions and sizes', () => {
    const old = { _class_name: 'Transformer2DModel', interpolation_scale: null, use_additional_conditions: null };
    expect(config({ ...old, sample_size: 64 })).toMatchObject({ interpolationScale: 1, microConditions: false });
    expect(config({ ...old, sample_size: 128 })).toMatchObject({ interpolationScale: 2, microConditions: true });
    expect(config({ sample_size: 128, use_additional_conditions: false }).microConditions).toBe(false);
    expect(config({ sample_size: 128, interpolation_scale: 1 }).interpolationScale).toBe(1);
  });

  it.each([
    [{ norm_type: 'ada_norm_zero' }, /only PixArt \(ada_norm_single\) is read/],
    [{ cross_attention_dim: 768 }, /cross_attention_dim differs/],
    [{ caption_channels: null }, /caption_channels/],
    [{ attention_bias: false }, /attention_bias/],
    [{ activation_fn: 'geglu' }, /activation_fn/],
  ])('refuses %j', (change, text) => {
    expect(() => config(change)).toThrow(CheckpointError);
    expect(() => config(change)).toThrow(text);
  });

  it('may be of the class that diffusers had before', async () => {
    const folder = await changedFolder('before', () => {}, {
      _class_name: 'Transformer2DModel',
      norm_type: 'ada_norm_single',
      interpolation_scale: undefined,
      use_additional_conditions: undefined,
    });
    const [old, today] = [await openPixArt(folder), await openPixArt(FOLDER)];
    expect(old.transformer.config).toEqual(today.transformer.config);
    await Promise.all([old.close(), today.close()]);
  });
});

describe('PixArt-Σ is refused by name', () => {
  const sigma: [string, string, string, readonly number[]][] = [
    ['300 tokens', 'y_embedder.y_embedding', 'caption_projection.y_embedding', [300, 16]],
    ['norms of queries', 'blocks.0.attn.q_norm.weight', 'transformer_blocks.0.attn1.norm_q.weight', [24]],
    ['compression of keys', 'blocks.2.attn.sr.weight', 'transformer_blocks.2.attn1.sr.weight', [24, 1, 2, 2]],
  ];

  it.each(sigma)('by %s', async (what, original, diffusers, shape) => {
    const file = await changedFile('sigma', (tensors) => tensors.set(original, zeros(shape, 'F32')));
    await expect(openPixArt(file, PIXART_SIZES)).rejects.toThrow(
      new RegExp(`${what}.*PixArt-Σ, which is not supported`),
    );
    const folder = await changedFolder('sigma', (tensors) => tensors.set(diffusers, zeros(shape)));
    await expect(openPixArt(folder)).rejects.toThrow(CheckpointError);
    await expect(openPixArt(folder)).rejects.toThrow(/so it is PixArt-Σ/);
    const archive = await openCheckpointFile(await fileSource(file));
    expect(detectModel(archive).description).toMatch(
      /^PixArt-Σ \(depth 3, width 24, patch 2\), with .*not supported yet/,
    );
    await archive.close();
  });

  it('before anything is asked of the user', async () => {
    const file = await changedFile('sigma-positions', (tensors) => {
      tensors.delete('pos_embed'); // which Σ's files may lack
      tensors.set('y_embedder.y_embedding', zeros([300, 16], 'F32'));
    });
    await expect(openPixArt(file, PIXART_SIZES)).rejects.toThrow(/has captions of 300 tokens, so it is PixArt-Σ/);
  });

  it('by its pipeline', async () => {
    const folder = await changedFolder('pipeline', () => {});
    const index = join(folder, 'model_index.json');
    writeFileSync(index, readFileSync(index, 'utf8').replace('PixArtAlphaPipeline', 'PixArtSigmaPipeline'));
    await expect(openPixArt(folder)).rejects.toThrow(/is a PixArtSigmaPipeline; PixArt-Σ is not supported yet/);
    expect(await pipelineOf(folder)).toBe('PixArtPipeline');
  });
});

describe('openPixArt refuses', () => {
  it('what lacks tensors, has others or others’ shapes, all named together', async () => {
    const spoilt = (tensors: Map<string, StoredTensor>) => {
      tensors.delete('blocks.1.cross_attn.kv_linear.bias');
      tensors.set('lora.weight', zeros([3], 'F32'));
      tensors.set('final_layer.scale_shift_table', zeros([3, 24], 'F32'));
    };
    await expect(openPixArt(await changedFile('spoilt', spoilt), PIXART_SIZES)).rejects.toThrow(
      /1 missing: blocks\.1\.cross_attn\.kv_linear\.bias\. 1 unexpected: lora\.weight\. 1 of the wrong shape: final_layer\.scale_shift_table \(expected \[2, 24\], got \[3, 24\]\)/,
    );
  });

  it('micro-conditions of which half is missing', async () => {
    const path = join(scratch, 'half.safetensors');
    await rewriteTensors(join(PIXART, 'ms.pth'), path, (tensors) => tensors.delete('ar_embedder.mlp.2.weight'));
    await expect(openPixArt(path, PIXART_SIZES)).rejects.toThrow(/1 missing: ar_embedder\.mlp\.2\.weight/);
    await rewriteTensors(join(PIXART, 'ms.pth'), path, (tensors) => {
      for (const name of tensors.keys()) if (name.startsWith('csize_')) tensors.delete(name);
    });
    await expect(openPixArt(path, PIXART_SIZES)).rejects.toThrow(/4 unexpected: ar_embedder/);
  });

  it('a null caption of another width', async () => {
    const file = await changedFile('null', (tensors) => tensors.set('y_embedder.y_embedding', zeros([6, 15], 'F32')));
    await expect(openPixArt(file, PIXART_SIZES)).rejects.toThrow(/y_embedding: expected \[tokens, 16\], got \[6, 15\]/);
  });

  it.each<[string, string, object, new (...args: never[]) => Error, RegExp]>([
    ['a path that is not there', 'nothing', {}, FileError, /no such file or folder/],
    ['a weights file without an autoencoder', FILE, { numHeads: 2 }, OptionError, /carries no autoencoder; give --vae/],
    ['heads that it cannot know', FILE, { vae: FOLDER }, OptionError, /give --num-heads/],
    ['heads that do not divide the width', FILE, { ...PIXART_SIZES, numHeads: 7 }, CheckpointError, /numHeads/],
    [
      'a file of a DiT',
      join(PARITY, 'dit-tiny.pt'),
      PIXART_SIZES,
      CheckpointError,
      /fc1\.weight is missing, so this is no whole PixArt/,
    ],
    ['a folder of a DiT', join(PARITY, 'dit-tiny-diffusers'), {}, CheckpointError, /expected a PixArtAlphaPipeline/],
    ['a folder of neither', PARITY, {}, CheckpointError, /expected manifest\.json/],
    ['a text encoder that is not there', FOLDER, { textEncoder: 'nowhere' }, FileError, /--text-encoder nowhere/],
    ['a tokenizer folder without one', FOLDER, { tokenizer: PARITY }, CheckpointError, /expected spiece\.model/],
  ])('%s', async (_, path, options, kind, text) => {
    const error = await openPixArt(path, options).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(text);
  });

  it('and openDiT refuses a PixArt', async () => {
    await expect(openDiT(FOLDER)).rejects.toThrow(/expected a DiTPipeline, got "PixArtAlphaPipeline"/);
  });
});

describe('the text encoder and the tokenizer', () => {
  it('are those of the folder, opened when asked', async () => {
    const checkpoint = await openPixArt(FOLDER);
    expect(checkpoint.tokenizer?.name).toBe(join(FOLDER, 'tokenizer'));
    const encoder = await checkpoint.openTextEncoder!();
    expect(encoder.config).toMatchObject({ hiddenSize: 16, depth: 2 });
    await Promise.all([encoder.close(), checkpoint.close()]);
  });

  it('are given for a file; a folder of T5 that has a tokenizer is enough', async () => {
    const bare = await openPixArt(FILE, PIXART_SIZES);
    expect([bare.openTextEncoder, bare.tokenizer]).toEqual([undefined, undefined]);
    await bare.close();
    const t5 = join(scratch, 't5');
    cpSync(join(FOLDER, 'text_encoder'), t5, { recursive: true });
    cpSync(join(FOLDER, 'tokenizer'), t5, { recursive: true });
    const checkpoint = await openPixArt(FILE, { ...PIXART_SIZES, textEncoder: t5 });
    expect(checkpoint.tokenizer?.name).toBe(t5);
    const encoder = await checkpoint.openTextEncoder!();
    await Promise.all([encoder.close(), checkpoint.close()]);
  });

  it('may be absent', async () => {
    const folder = await changedFolder('no-text', () => {});
    for (const part of ['text_encoder', 'tokenizer']) rmSync(join(folder, part), { recursive: true });
    mkdirSync(join(folder, 'text_encoder'));
    const checkpoint = await openPixArt(folder);
    expect([checkpoint.openTextEncoder, checkpoint.tokenizer]).toEqual([undefined, undefined]);
    await checkpoint.close();
  });

  it('of another width than the captions are refused when opened', async () => {
    const folder = await changedFolder(
      'wide',
      (tensors) => tensors.set('caption_projection.linear_1.weight', zeros([24, 20])),
      { caption_channels: 20 },
    );
    const checkpoint = await openPixArt(folder);
    await expect(checkpoint.openTextEncoder!()).rejects.toThrow(/expected a text encoder of width 20.*got width 16/);
    await checkpoint.close();
  });
});

describe('pipelineOf and detectModel', () => {
  it.each([
    [FILE, 'PixArtPipeline'],
    [FOLDER, 'PixArtPipeline'],
    [join(PIXART, 'ms.pth'), 'PixArtPipeline'],
    [join(PARITY, 'dit-tiny.pt'), 'DiTPipeline'],
    [join(PARITY, 'dit-tiny-diffusers'), 'DiTPipeline'],
    ['checkpoints/dit-emoji', 'DiTPipeline'],
    ['nothing', 'DiTPipeline'],
    [PARITY, 'DiTPipeline'],
  ])('%s is for %s', async (path, pipeline) => {
    expect(await pipelineOf(path)).toBe(pipeline);
  });

  it.each([
    [FILE, 'PixArt-α (depth 3, width 24, patch 2), layout of PixArt-alpha/PixArt-alpha'],
    [
      join(PIXART, 'ms.pth'),
      'PixArt-α (depth 2, width 24, patch 2), told the size of its picture, layout of PixArt-alpha/PixArt-alpha',
    ],
    [join(FOLDER, 'transformer', WEIGHTS), 'PixArt-α (depth 3, width 24, patch 2), layout of diffusers'],
    [join(FOLDER, 'text_encoder/model.safetensors'), 'T5 (depth 2, width 16), layout of transformers'],
  ])('%s is described', async (path, description) => {
    const archive = await openCheckpointFile(await fileSource(path));
    expect(detectModel(archive).description).toBe(description);
    await archive.close();
  });
});
