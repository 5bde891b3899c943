import * as tf from '@tensorflow/tfjs-core';
import * as z from 'zod';
import type { ByteSource } from '../checkpoint/byte-source.ts';
import { toFloat32 } from '../checkpoint/dtypes.ts';
import { quoted } from '../checkpoint/quoted.ts';
import { openSafetensors } from '../checkpoint/safetensors.ts';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import type { StoredTensor, TensorArchive } from '../checkpoint/stored-tensor.ts';
import { readTensor } from '../device.ts';
import { CheckpointError, FormatError } from '../errors.ts';
import { assertShape, elementCount, type Shape } from '../shape.ts';

/** Prompts as a text encoder gave them, which a model takes in the place of text: kept in a file, they need no encoder. */
export interface PromptEmbeds {
  /** [N,L,D], float32. */
  readonly embeds: tf.Tensor3D;
  /** [N,L], int32: 1 for tokens, 0 for padding. */
  readonly mask: tf.Tensor2D;
  /** The N prompts as they were encoded, after cleaning. */
  readonly prompts: readonly string[];
  readonly encoder: EncoderIdentity;
}

/** What a file of encoded prompts holds. */
export interface StoredPrompts extends PromptEmbeds {
  /** The negative prompt of all of them [1,L,D], where one was saved. */
  readonly negative?: PromptEmbeds | undefined;
}

/** Which text encoder it was; its width is that of the embeds. */
export interface EncoderIdentity {
  /** Where its weights lay. */
  readonly name: string;
  /** sha256 of its files, where its checkpoint states them; else empty. */
  readonly sha256: readonly string[];
}

/** Marks the file. The number grows when an older version could misread it. */
const FORMAT = 'delta-dit prompt embeds 1';

/**
 * The bytes of a safetensors file: `embeds` F32, `mask` I32, the same of the negative prompt as `negative_embeds` and
 * `negative_mask`, and the texts in its metadata.
 */
export async function serialisePromptEmbeds(stored: StoredPrompts): Promise<Uint8Array> {
  const { prompts, encoder, negative } = stored;
  const metadata = new Map([
    ['format', FORMAT],
    ['prompts', JSON.stringify(prompts)],
    ['encoder', JSON.stringify({ name: encoder.name, sha256: encoder.sha256 })],
  ]);
  const tensors = await tensorsOf('', stored);
  if (negative) {
    assertShape('the negative prompt', negative.embeds.shape, [1, null, stored.embeds.shape[2]]);
    metadata.set('negative', JSON.stringify(negative.prompts));
    tensors.push(...(await tensorsOf(NEGATIVE, negative)));
  }
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  await writeSafetensors(async (bytes) => void pieces.push(new Uint8Array(bytes)), tensors, metadata);
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** Before the names of the negative prompt's tensors. */
const NEGATIVE = 'negative_';

async function tensorsOf(prefix: string, { embeds, mask, prompts }: PromptEmbeds): Promise<StoredTensor[]> {
  const [count, length] = embeds.shape;
  assertShape('prompt embeds: mask', mask.shape, [count, length]);
  assertShape('prompt embeds: prompts', [prompts.length], [count]);
  const [values, ones] = await Promise.all([readTensor(embeds), readTensor(mask)]);
  return [
    stored(`${prefix}embeds`, 'F32', embeds.shape, Float32Array.from(values)),
    stored(`${prefix}mask`, 'I32', mask.shape, Int32Array.from(ones)),
  ];
}

function stored(name: string, dtype: 'F32' | 'I32', shape: Shape, { buffer }: Float32Array | Int32Array): StoredTensor {
  return { name, dtype, shape, read: async () => new Uint8Array(buffer) };
}

/** What the prompts of a file of `serialisePromptEmbeds` say. */
export interface PromptTexts extends Pick<PromptEmbeds, 'prompts' | 'encoder'> {
  /** The negative prompt that is saved with them. */
  readonly negativePrompt: string | undefined;
}

/** The texts alone; needs no backend. Arguments and errors as of `readPromptEmbeds` */
export async function readPromptTexts(source: ByteSource): Promise<PromptTexts> {
  const archive = await openSafetensors(source);
  try {
    const { prompts, encoder, negative } = parseMetadata(archive);
    return { prompts, encoder, negativePrompt: negative?.[0] };
  } finally {
    await archive.close();
  }
}

/**
 * Encoded prompts from a file of `serialisePromptEmbeds`. The caller disposes the tensors.
 * @param source is taken over, also when it fails.
 * @param captionChannels the width of the captions that the model takes
 * @throws FormatError when the file is another, or damaged; CheckpointError when the embeds are of another model.
 */
export async function readPromptEmbeds(source: ByteSource, captionChannels: number): Promise<StoredPrompts> {
  const archive = await openSafetensors(source);
  try {
    const { prompts, encoder, negative } = parseMetadata(archive);
    const read = (prefix: string, texts: readonly string[]) =>
      readValues(archive, prefix, { prompts: texts, encoder }, captionChannels);
    const values = [await read('', prompts), ...(negative ? [await read(NEGATIVE, negative)] : [])];
    const [all, none] = values.map((make) => make()); // tensors are made when nothing can fail any more
    if (!all) throw new RangeError('nothing was read');
    return { ...all, negative: none };
  } finally {
    await archive.close();
  }
}

/** @returns what makes the tensors */
async function readValues(
  archive: TensorArchive,
  prefix: string,
  { prompts, encoder }: Pick<PromptEmbeds, 'prompts' | 'encoder'>,
  captionChannels: number,
): Promise<() => PromptEmbeds> {
  const embeds = tensorOf(archive, `${prefix}embeds`, [prompts.length, null, null]);
  const [, length = 0, width = 0] = embeds.shape;
  if (width !== captionChannels) {
    throw new CheckpointError(
      `${archive.name}: expected embeds of width ${captionChannels}, which the model takes, got width ${width} of ` +
        `${quoted(encoder.name)}; encode the prompts again with this model's text encoder`,
    );
  }
  const embedValues = await finiteValues(archive.name, embeds);
  const maskValues = await maskOf(archive, `${prefix}mask`, [prompts.length, length]);
  return () => ({
    embeds: tf.tensor3d(embedValues, [prompts.length, length, width]),
    mask: tf.tensor2d(maskValues, [prompts.length, length], 'int32'),
    prompts,
    encoder,
  });
}

const TEXTS = z.object({
  format: z.literal(FORMAT),
  prompts: z.array(z.string()).min(1),
  negative: z.array(z.string()).length(1).optional(),
  encoder: z.object({ name: z.string(), sha256: z.array(z.string()) }),
});

function parseMetadata({ name, metadata }: TensorArchive): z.infer<typeof TEXTS> {
  if (metadata.get('format') !== FORMAT) {
    throw new FormatError(
      `${name}: expected encoded prompts of this version ("${FORMAT}"), got ${quoted(metadata.get('format') ?? 'another file')}; make it with --save-embeds`,
    );
  }
  const json = (key: string): unknown => {
    try {
      return JSON.parse(metadata.get(key) ?? '');
    } catch {
      return undefined;
    }
  };
  const parsed = TEXTS.safeParse({
    format: FORMAT,
    prompts: json('prompts'),
    encoder: json('encoder'),
    ...(metadata.has('negative') ? { negative: json('negative') } : {}),
  });
  if (!parsed.success)
    throw new FormatError(
      `${name}: its metadata is damaged, encode the prompts again; ${z.prettifyError(parsed.error)}`,
    );
  return parsed.data;
}

function tensorOf(
  { name, tensors }: TensorArchive,
  tensor: string,
  expected: readonly (number | null)[],
): StoredTensor {
  const found = tensors.get(tensor);
  const fits = found?.shape.length === expected.length && expected.every((n, i) => n === null || n === found.shape[i]);
  if (found && fits && elementCount(found.shape) > 0) return found;
  throw new FormatError(
    `${name}: ${tensor}: expected [${expected.map((n) => n ?? 'any').join(', ')}], got ${found ? `[${found.shape.join(', ')}]` : 'none'}; encode the prompts again`,
  );
}

async function finiteValues(where: string, tensor: StoredTensor): Promise<Float32Array> {
  const values = toFloat32(await tensor.read(), tensor.dtype);
  const odd = values.findIndex((value) => !Number.isFinite(value));
  if (odd === -1) return values;
  throw new FormatError(`${where}: ${tensor.name}: ${values[odd]} at ${odd} is no number; encode the prompts again`);
}

async function maskOf(archive: TensorArchive, name: string, shape: readonly [number, number]): Promise<Int32Array> {
  const tensor = tensorOf(archive, name, shape);
  const values = toFloat32(await tensor.read(), tensor.dtype);
  const odd = values.find((value) => value !== 0 && value !== 1);
  if (odd === undefined) return Int32Array.from(values);
  throw new FormatError(`${archive.name}: ${name}: expected 0 and 1, got ${odd}; encode the prompts again`);
}
