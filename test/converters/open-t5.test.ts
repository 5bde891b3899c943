import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { openT5 } from '../../converters/open-t5.ts';
import { toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { gatherRows } from '../../src/checkpoint/gather-rows.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FileError, FormatError } from '../../src/errors.ts';
import { T5Encoder } from '../../src/models/t5-encoder.ts';
import { damagedPieces } from '../support/checksums.ts';
import { T5_FIXTURES } from '../support/tiny-t5.ts';

const ENCODER = join(T5_FIXTURES, 'encoder');
const SHARED_STORAGES = join(T5_FIXTURES, 'shared-storages');
const CONFIG = JSON.parse(readFileSync(join(ENCODER, 'config.json'), 'utf8')) as Record<string, unknown>;
const TABLE = 'encoder.embed_tokens.weight';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'delta-dit-t5-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** Names, types, shapes and bytes. */
async function contentOf({ tensors }: TensorArchive): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const [name, tensor] of tensors)
    content[name] = `${tensor.dtype} ${tensor.shape} ${Buffer.from(await tensor.read()).toString('base64')}`;
  return content;
}

async function opened(path: string) {
  const checkpoint = await openT5(path);
  const content = await contentOf(checkpoint.archive);
  await checkpoint.close();
  return { ...checkpoint, content };
}

/** The tensors of the fixture as PyTorch laid them out, in memory. */
async function foreignTensors(): Promise<StoredTensor[]> {
  const archive = await openCheckpointFile(await fileSource(join(ENCODER, 'model.safetensors')));
  const tensors: StoredTensor[] = [];
  for (const { name, dtype, shape, read } of archive.tensors.values()) {
    const bytes = await read();
    tensors.push({ name, dtype, shape, read: async () => bytes });
  }
  await archive.close();
  return tensors;
}

async function floats({ shape, dtype, read }: StoredTensor) {
  return { shape, values: toFloat32(await read(), dtype) };
}

async function writeTensors(path: string, tensors: readonly StoredTensor[]): Promise<void> {
  const pieces: Uint8Array[] = [];
  await writeSafetensors(async (bytes) => void pieces.push(bytes.slice()), tensors);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.concat(pieces));
}

/** A folder of the given tensors and configuration. */
async function folderOf(tensors: readonly StoredTensor[], config: object = CONFIG): Promise<string> {
  await writeTensors(join(scratch, 'model.safetensors'), tensors);
  writeFileSync(join(scratch, 'config.json'), JSON.stringify(config));
  return scratch;
}

async function failureOf(path: string): Promise<Error> {
  return openT5(path).then(
    () => Promise.reject(new Error('was opened')),
    (error: Error) => error,
  );
}

describe('openT5', () => {
  it('reads a folder of transformers, its linears as kernels [in,out]', async () => {
    const { config, archive, files } = await opened(ENCODER);
    expect(config).toEqual({
      vocabSize: 40,
      hiddenSize: 24,
      depth: 3,
      numHeads: 4,
      headDim: 8,
      feedForwardSize: 40,
      numBuckets: 8,
      maxDistance: 10,
      normEps: 1e-6,
    });
    expect(new Map([...archive.tensors].map(([name, { shape }]) => [name, shape]))).toEqual(
      T5Encoder.parameterShapes(config),
    );
    expect(files).toEqual([join(ENCODER, 'model.safetensors')]);
    const name = 'encoder.block.1.layer.1.DenseReluDense.wo';
    const weight = await floats((await foreignTensors()).find((tensor) => tensor.name === `${name}.weight`)!);
    const checkpoint = await openT5(ENCODER);
    const kernel = await floats(checkpoint.archive.tensors.get(`${name}.kernel`)!);
    await checkpoint.close();
    expect([weight.shape, kernel.shape]).toEqual([
      [24, 40],
      [40, 24],
    ]);
    expect(Array.from(kernel.values)).toEqual(
      Array.from(kernel.values, (_, i) => weight.values[(i % 24) * 40 + Math.floor(i / 24)]),
    );
  });

  it('finds it in text_encoder/', async () => {
    cpSync(ENCODER, join(scratch, 'text_encoder'), { recursive: true });
    expect((await opened(scratch)).content).toEqual((await opened(ENCODER)).content);
  });

  it.each([
    ['model.safetensors.index.json', 'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'],
    [
      'model.safetensors.index.fp16.json',
      'model.fp16-00001-of-00002.safetensors',
      'model.fp16-00002-of-00002.safetensors',
    ],
  ])('reads shards with the index %s', async (index, ...shards) => {
    const tensors = await foreignTensors();
    const weightMap = Object.fromEntries(tensors.map(({ name }, i) => [name, shards[i % 2]!]));
    for (const shard of shards)
      await writeTensors(
        join(scratch, shard),
        tensors.filter(({ name }) => weightMap[name] === shard),
      );
    writeFileSync(join(scratch, index), JSON.stringify({ weight_map: weightMap }));
    writeFileSync(join(scratch, 'config.json'), JSON.stringify(CONFIG));
    const { content, files } = await opened(scratch);
    expect(content).toEqual((await opened(ENCODER)).content);
    expect(files).toEqual(shards.map((shard) => join(scratch, shard)));
  });

  it('reads .bin shards of torch.save with shared storages, leaving out decoder and language model head', async () => {
    const { config, content } = await opened(SHARED_STORAGES);
    expect(Object.keys(content).sort()).toEqual([...T5Encoder.parameterShapes(config).keys()].sort());
    const ofLayer = (i: number) => content[`encoder.block.${i}.layer.0.SelfAttention.q.kernel`];
    expect(ofLayer(1)).toBe(ofLayer(0));
    const checkpoint = await openT5(SHARED_STORAGES);
    expect(damagedPieces(checkpoint.archive.checksums)).toEqual([]);
    await checkpoint.close();
  });

  it('finds the table under either name, and compares where both are there', async () => {
    const want = (await opened(ENCODER)).content;
    const [table, ...rest] = (await foreignTensors()).sort((a) => (a.name === 'shared.weight' ? -1 : 0));
    const copy = { ...table!, name: TABLE };
    expect((await opened(await folderOf([copy, ...rest]))).content).toEqual(want);
    expect((await opened(await folderOf([table!, copy, ...rest]))).content).toEqual(want);
    const different = { ...copy, read: async () => (await copy.read()).map((byte, i) => (i === 96 ? byte ^ 1 : byte)) };
    const checkpoint = await openT5(await folderOf([table!, different, ...rest]));
    const shared = checkpoint.archive.tensors.get('shared.weight')!;
    await gatherRows(shared, [0, 2]); // equal rows
    await expect(gatherRows(shared, [1])).rejects.toThrow(/embed_tokens\.weight differs from shared\.weight/);
    await expect(shared.read()).rejects.toThrow(CheckpointError);
    await checkpoint.close();
  });

  it('reads the text encoder of a converted checkpoint', async () => {
    const { archive, config } = await openT5(ENCODER);
    await writeTensors(join(scratch, 'textEncoder.safetensors'), [...archive.tensors.values()]);
    await archive.close();
    const file = (name: string, bytes: number) => ({ name, bytes, sha256: 'ab'.repeat(32) });
    const part = (name: string, settings: object, bytes = 1) => ({
      config: settings,
      dtype: 'F32',
      files: [file(`${name}.safetensors`, bytes)],
    });
    const { length } = readFileSync(join(scratch, 'textEncoder.safetensors'));
    const manifest = {
      format: 'delta-dit',
      version: 1,
      pipeline: 'PixArtPipeline',
      numerics: 'diffusers',
      transformer: part('transformer', {}),
      vae: part('vae', {}),
      textEncoder: part('textEncoder', config, length),
      tokenizer: [],
      scheduler: {},
      defaults: {},
      source: [],
    };
    writeFileSync(join(scratch, 'manifest.json'), JSON.stringify(manifest));
    const converted = await opened(scratch);
    expect(converted.content).toEqual((await opened(ENCODER)).content);
    expect(converted.config).toEqual(config);
    expect(converted.sha256).toEqual(['ab'.repeat(32)]);
    writeFileSync(join(scratch, 'manifest.json'), JSON.stringify({ ...manifest, textEncoder: undefined }));
    expect((await failureOf(scratch)).message).toMatch(/has no text encoder; give --text-encoder/);
    const narrow = part('textEncoder', { ...config, hiddenSize: 16 }, length);
    writeFileSync(join(scratch, 'manifest.json'), JSON.stringify({ ...manifest, textEncoder: narrow }));
    expect((await failureOf(scratch)).message).toMatch(/of the wrong shape: shared\.weight/);
  });
});

describe('openT5 refuses', () => {
  it.each<[string, object, RegExp]>([
    ['another activation', { feed_forward_proj: 'relu' }, /expected "gated-gelu" .*, got "relu": T5 v1\.0/],
    ['the default activation', { feed_forward_proj: undefined }, /expected "gated-gelu" .*, got "relu"/],
    ['gated SiLU', { feed_forward_proj: 'gated-silu' }, /got "gated-silu"/],
    ['an exact GELU', { dense_act_fn: 'gelu' }, /dense_act_fn/],
    ['a relative of T5', { model_type: 'umt5' }, /only T5 is read, not its relatives/],
    ['a decoder', { is_decoder: true }, /a decoder is not read/],
    ['quantised weights', { quantization_config: { load_in_8bit: true } }, /quantised weights are not read/],
    ['layers beyond reason', { num_layers: 1e8 }, /depth/],
  ])('%s in config.json', async (_, change, text) => {
    const error = await failureOf(await folderOf(await foreignTensors(), { ...CONFIG, ...change }));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(text);
    expect(error.message).toContain(join(scratch, 'config.json'));
  });

  it('weights of another width than config.json says, by name and with both shapes', async () => {
    const error = await failureOf(await folderOf(await foreignTensors(), { ...CONFIG, d_model: 32 }));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(/of the wrong shape: shared\.weight \(expected \[40, 32\], got \[40, 24\]\)/);
  });

  it('T5 v1.0 by its weights', async () => {
    const renamed = (await foreignTensors()).map((tensor) => ({
      ...tensor,
      name: tensor.name.replace(/wi_0/, 'wi'),
    }));
    expect((await failureOf(await folderOf(renamed))).message).toMatch(/is a T5 v1\.0 .* give a T5 v1\.1/);
  });

  it('integers in the place of weights', async () => {
    const tensors = await foreignTensors();
    const whole: StoredTensor = { ...tensors[3]!, dtype: 'I32' };
    const error = await failureOf(await folderOf([...tensors.slice(0, 3), whole, ...tensors.slice(4)]));
    expect(error.message).toMatch(/expected floating-point weights, got I32; give an encoder that is not quantised/);
  });

  it('missing tensors and others, together', async () => {
    const renamed = (await foreignTensors()).map((tensor) =>
      tensor.name === 'encoder.final_layer_norm.weight' ? { ...tensor, name: 'encoder.odd' } : tensor,
    );
    expect((await failureOf(await folderOf(renamed))).message).toMatch(
      /1 missing: encoder\.final_layer_norm\.weight\. 1 unexpected: encoder\.odd/,
    );
  });

  it('a missing shard, by its name', async () => {
    cpSync(SHARED_STORAGES, scratch, { recursive: true });
    rmSync(join(scratch, 'pytorch_model-00002-of-00002.bin'));
    const error = await failureOf(scratch);
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(/1 of 2 files could not be opened: pytorch_model-00002-of-00002\.bin .*no such file/);
  });

  it.each([
    ['.bin', SHARED_STORAGES, 'pytorch_model-00001-of-00002.bin'],
    ['.safetensors', ENCODER, 'model.safetensors'],
  ])('a %s file that was cut, by its name', async (_, from, file) => {
    cpSync(from, scratch, { recursive: true });
    truncateSync(join(scratch, file), 20_000);
    const error = await failureOf(scratch);
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toContain(file);
  });

  it('a folder without weights', async () => {
    cpSync(join(ENCODER, 'config.json'), join(scratch, 'config.json'));
    const error = await failureOf(scratch);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(/no weights; expected one of model\.safetensors, .*pytorch_model\.bin/);
  });

  it('a folder without config.json, and a path that is none', async () => {
    expect((await failureOf(scratch)).message).toMatch(
      /expected config\.json of a T5 v1\.1 in it or in its text_encoder/,
    );
    const absent = await failureOf(join(scratch, 'none'));
    expect(absent).toBeInstanceOf(FileError);
    expect(absent.message).toMatch(/none: no such folder/);
  });
});
