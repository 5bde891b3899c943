import * as tf from '@tensorflow/tfjs-core';
import { encodeFloat32, toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FormatError, ShapeError } from '../../src/errors.ts';
import {
  type PromptEmbeds,
  readPromptEmbeds,
  readPromptTexts,
  serialisePromptEmbeds,
} from '../../src/pipelines/prompt-embeds.ts';
import { bytesSource } from '../checkpoint/bytes-source.ts';
import { expectBitEqual } from '../support/compare.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { randomTensor } from '../support/random-weights.ts';

const WIDTH = 8;
const PROMPTS = ['a red apple', 'naïve – 日本 "quoted" \\ 😀'];

function sample(): PromptEmbeds {
  return {
    embeds: randomTensor<tf.Tensor3D>([2, 3, WIDTH], 1),
    mask: tf.tensor2d([1, 1, 1, 1, 0, 0], [2, 3], 'int32'),
    prompts: PROMPTS,
    encoder: { name: '/models/t5', sha256: ['ab'.repeat(32)] },
  };
}

async function saved(change: Partial<PromptEmbeds> = {}): Promise<Uint8Array> {
  const embeds = { ...sample(), ...change };
  const bytes = await serialisePromptEmbeds(embeds);
  tf.dispose([embeds.embeds, embeds.mask]);
  return bytes;
}

/** A file of the sample with other tensors or metadata. */
async function spoilt(
  change: (tensor: StoredTensor) => StoredTensor | undefined,
  texts: Record<string, string> = {},
): Promise<Uint8Array> {
  const archive = await openSafetensors(bytesSource(await saved()));
  const tensors = [...archive.tensors.values()].map(change).filter((tensor) => tensor !== undefined);
  const pieces: Uint8Array[] = [];
  const metadata = new Map([...archive.metadata, ...Object.entries(texts)]);
  await writeSafetensors(async (bytes) => void pieces.push(bytes.slice()), tensors, metadata);
  return Buffer.concat(pieces);
}

const replaced = (name: string, values: Float32Array, shape: readonly number[]) => (tensor: StoredTensor) =>
  tensor.name === name
    ? { name, dtype: 'F32' as const, shape, read: async () => encodeFloat32(values, 'F32') }
    : tensor;
const unchanged = (tensor: StoredTensor) => tensor;

describe('encoded prompts', () => {
  it('come back from a file bit for bit, with their texts', async () => {
    await expectNoLeak(async () => {
      const want = sample();
      const source = bytesSource(await serialisePromptEmbeds(want), 'prompts.safetensors');
      const got = await readPromptEmbeds(source, WIDTH);
      await expectBitEqual(got.embeds, want.embeds);
      await expectBitEqual(got.mask, want.mask);
      expect(got.mask.dtype).toBe('int32');
      expect({ prompts: got.prompts, encoder: got.encoder }).toEqual({ prompts: PROMPTS, encoder: want.encoder });
      expect(source.closed).toBe(true);
      tf.dispose([got.embeds, got.mask, want.embeds, want.mask]);
    });
  });

  it('come back with their negative prompt, and their texts without a backend', async () => {
    await expectNoLeak(async () => {
      const want = sample();
      const negative = {
        embeds: randomTensor<tf.Tensor3D>([1, 3, WIDTH], 2),
        mask: tf.tensor2d([1, 0, 0], [1, 3], 'int32'),
        prompts: ['blurry'],
        encoder: want.encoder,
      };
      const bytes = await serialisePromptEmbeds({ ...want, negative });
      const got = await readPromptEmbeds(bytesSource(bytes), WIDTH);
      await expectBitEqual(got.embeds, want.embeds);
      await expectBitEqual(got.negative!.embeds, negative.embeds);
      await expectBitEqual(got.negative!.mask, negative.mask);
      expect([got.prompts, got.negative!.prompts]).toEqual([PROMPTS, ['blurry']]);
      const texts = await readPromptTexts(bytesSource(bytes));
      expect(texts).toEqual({ prompts: PROMPTS, negativePrompt: 'blurry', encoder: want.encoder });
      expect((await readPromptTexts(bytesSource(await saved()))).negativePrompt).toBeUndefined();
      for (const half of [got, got.negative!, want, negative]) tf.dispose([half.embeds, half.mask]);
    });
  });

  it('have one negative prompt, as wide as they are', async () => {
    const of = (shape: [number, number, number]) => ({
      ...sample(),
      embeds: randomTensor<tf.Tensor3D>(shape, 2),
      mask: tf.ones<tf.Rank.R2>([shape[0], shape[1]], 'int32'),
      prompts: Array<string>(shape[0]).fill('x'),
    });
    await expect(serialisePromptEmbeds({ ...sample(), negative: of([2, 3, WIDTH]) })).rejects.toThrow(ShapeError);
    await expect(serialisePromptEmbeds({ ...sample(), negative: of([1, 3, 4]) })).rejects.toThrow(ShapeError);
  });

  it('are the same bytes each time', async () => {
    expect(await saved()).toEqual(await saved());
  });

  it('may have a mask of booleans or floats, and be stored in 16 bits by others', async () => {
    const mask = tf.tensor2d([1, 1, 1, 1, 0, 0], [2, 3]);
    expect(await saved({ mask })).toEqual(await saved());
    const halved = await spoilt((tensor) =>
      tensor.name === 'embeds'
        ? {
            name: 'embeds',
            dtype: 'F16',
            shape: tensor.shape,
            read: async () => encodeFloat32(toFloat32(await tensor.read(), 'F32'), 'F16'),
          }
        : tensor,
    );
    const { embeds } = await readPromptEmbeds(bytesSource(halved), WIDTH);
    expect(embeds.shape).toEqual([2, 3, WIDTH]);
    expect(embeds.dtype).toBe('float32');
  });

  it('are not saved with a mask or texts that do not fit', async () => {
    await expect(saved({ prompts: ['one'] })).rejects.toThrow(ShapeError);
    await expect(saved({ mask: tf.ones([2, 4], 'int32') as tf.Tensor2D })).rejects.toThrow(ShapeError);
  });
});

describe('readPromptEmbeds refuses', () => {
  it('embeds of another model, with both widths and what to do', async () => {
    const bytes = await saved();
    await expectCleanFailure(
      () => readPromptEmbeds(bytesSource(bytes, 'prompts.safetensors'), 4096),
      CheckpointError,
      /prompts\.safetensors: expected embeds of width 4096, .*got width 8 of "\/models\/t5"; encode the prompts again/,
    );
  });

  it.each<[string, () => Promise<Uint8Array>, RegExp]>([
    [
      'a file of weights',
      () => spoilt(unchanged, { format: 'pt' }),
      /expected encoded prompts .*got "pt"; make it with/,
    ],
    ['what is no safetensors file', async () => new Uint8Array(64), /test\.bin: /],
    ['a file that was cut', async () => (await saved()).subarray(0, -8), /cut or something was added/],
    ['prompts that are no texts', () => spoilt(unchanged, { prompts: '[1]' }), /metadata is damaged[\s\S]*prompts/],
    ['prompts that are no JSON', () => spoilt(unchanged, { prompts: '[' }), /metadata is damaged[\s\S]*prompts/],
    [
      'another number of prompts',
      () => spoilt(unchanged, { prompts: '["a"]' }),
      /embeds: expected \[1, any, any\], got/,
    ],
    ['no mask', () => spoilt((t) => (t.name === 'mask' ? undefined : t)), /mask: expected \[2, 3\], got none/],
    ['a mask of other sizes', () => spoilt(replaced('mask', new Float32Array(8), [2, 4])), /mask: expected \[2, 3\]/],
    ['a mask of other numbers', () => spoilt(replaced('mask', new Float32Array(6).fill(2), [2, 3])), /0 and 1, got 2/],
    [
      'numbers that are none',
      () => spoilt(replaced('embeds', new Float32Array(48).fill(Number.NaN), [2, 3, WIDTH])),
      /embeds: NaN at 0 is no number/,
    ],
  ])('%s, and leaks nothing', async (_, make, text) => {
    const source = bytesSource(await make());
    await expectCleanFailure(() => readPromptEmbeds(source, WIDTH), FormatError, text);
    expect(source.closed).toBe(true);
  });
});
