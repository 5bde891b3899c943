import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { DIT_SIZES } from '../src/models/dit-config.ts';
import { findAutoencoder } from './open-autoencoder.ts';
import { sigmaParts } from './pixart-configs.ts';
import { blockCount } from './transformer-configs.ts';

export type ModelKind =
  | 'dit-original'
  | 'dit-diffusers'
  | 'dit-converted'
  | 'autoencoder-kl'
  | 'pixart'
  | 't5-encoder'
  | 'image-classifier'
  | 'unknown';

interface Detected {
  readonly kind: ModelKind;
  readonly description: string;
}

/** Which model a set of tensors is, told by names that no other has, and its sizes in words. */
export function detectModel(archive: TensorArchive): Detected {
  return (
    detectPixArt(archive) ??
    detectDiT(archive) ??
    detectAutoencoder(archive) ??
    detectT5(archive) ??
    detectClassifier(archive) ??
    UNKNOWN
  );
}

const UNKNOWN: Detected = { kind: 'unknown', description: 'no model that is known here' };

/** A layout: a tensor that only it has, its patch embedding's kernel and where in its shape width and patch stand. */
interface TransformerLayout {
  readonly mark: string;
  readonly patchEmbed: string;
  readonly axes: readonly [width: number, patch: number];
  readonly words: string;
}

const OIHW = [0, 2] as const;
const HWIO = [3, 0] as const;
const CONVERTED = { patchEmbed: 'x_embedder.proj.kernel', axes: HWIO, words: 'converted' };
const PIXART_LAYOUTS: readonly TransformerLayout[] = [
  { ...CONVERTED, mark: 'y_embedder.y_proj.fc1.kernel' },
  {
    mark: 'y_embedder.y_proj.fc1.weight',
    patchEmbed: 'x_embedder.proj.weight',
    axes: OIHW,
    words: 'layout of PixArt-alpha/PixArt-alpha',
  },
  {
    mark: 'caption_projection.linear_1.weight',
    patchEmbed: 'pos_embed.proj.weight',
    axes: OIHW,
    words: 'layout of diffusers',
  },
];

function detectPixArt(archive: TensorArchive): Detected | undefined {
  const layout = PIXART_LAYOUTS.find(({ mark }) => archive.tensors.has(mark));
  if (!layout) return undefined;
  const { name, sizes } = transformerSizes(archive, layout);
  const sigma = sigmaParts(archive);
  if (sigma.length > 0)
    return { kind: 'pixart', description: `PixArt-Σ (${sizes}), with ${sigma.join(' and ')}; it is not supported yet` };
  const told = SIZE_EMBEDDERS.some((mark) => archive.tensors.has(mark)) ? ', told the size of its picture' : '';
  return { kind: 'pixart', description: `PixArt-α${name} (${sizes})${told}, ${layout.words}` };
}

const SIZE_EMBEDDERS = [
  'csize_embedder.mlp.0.kernel',
  'csize_embedder.mlp.0.weight',
  'adaln_single.emb.resolution_embedder.linear_1.weight',
];

const DIT_LAYOUTS: readonly (TransformerLayout & { readonly kind: ModelKind })[] = [
  { ...CONVERTED, kind: 'dit-converted', mark: 'x_embedder.proj.kernel' },
  {
    kind: 'dit-original',
    mark: 'x_embedder.proj.weight',
    patchEmbed: 'x_embedder.proj.weight',
    axes: OIHW,
    words: 'layout of facebookresearch/DiT',
  },
  {
    kind: 'dit-diffusers',
    mark: 'transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight',
    patchEmbed: 'pos_embed.proj.weight',
    axes: OIHW,
    words: 'layout of diffusers',
  },
];

function detectDiT(archive: TensorArchive): Detected | undefined {
  const table = archive.tensors.has('y_embedder.embedding_table.weight');
  const layout = DIT_LAYOUTS.find(({ mark, kind }) => archive.tensors.has(mark) && (table || kind === 'dit-diffusers'));
  if (!layout) return undefined;
  const { name, sizes } = transformerSizes(archive, layout);
  return { kind: layout.kind, description: `DiT${name} (${sizes}), ${layout.words}` };
}

function detectAutoencoder(archive: TensorArchive): Detected | undefined {
  const found = findAutoencoder(archive);
  if (!found && !archive.tensors.has('decoder.conv_in.kernel')) return undefined;
  return { kind: 'autoencoder-kl', description: `AutoencoderKL, ${autoencoderLayout(archive, found)}` };
}

function detectT5(archive: TensorArchive): Detected | undefined {
  const q = 'encoder.block.0.layer.0.SelfAttention.q';
  const [converted, foreign] = [`${q}.kernel`, `${q}.weight`].map((name) => archive.tensors.get(name));
  const hiddenSize = converted?.shape[0] ?? foreign?.shape[1];
  if (hiddenSize === undefined) return undefined;
  const sizes = `depth ${blockCount(archive, /^encoder\.block\.(\d+)\./)}, width ${hiddenSize}`;
  return { kind: 't5-encoder', description: `T5 (${sizes}), ${converted ? 'converted' : 'layout of transformers'}` };
}

function detectClassifier(archive: TensorArchive): Detected | undefined {
  const head = archive.tensors.get('head.kernel');
  if (!head || !archive.tensors.has('stages.0.downsample.kernel')) return undefined;
  const [features = 0, labels = 0] = head.shape;
  const stages = blockCount(archive, /^stages\.(\d+)\./);
  const description = `image classifier (${stages} stages, ${features} features, ${labels} labels), converted`;
  return { kind: 'image-classifier', description };
}

function autoencoderLayout(archive: TensorArchive, found: ReturnType<typeof findAutoencoder>): string {
  if (!found) return 'converted';
  const { prefix, layout } = found;
  const under = prefix === '' ? '' : ` under ${prefix.slice(0, -1)}`;
  if (layout === 'ldm') return `layout of CompVis/latent-diffusion${under}`;
  const old = archive.tensors.has(`${prefix}decoder.mid_block.attentions.0.query.weight`);
  return `layout of diffusers${under}${old ? ', attention names of before 2023' : ''}`;
}

/** Depth, width and patch in words, and the published size of that depth and width, as "-XL/2". */
function transformerSizes(
  archive: TensorArchive,
  { patchEmbed, axes: [widthAxis, patchAxis] }: TransformerLayout,
): { readonly name: string; readonly sizes: string } {
  const shape = archive.tensors.get(patchEmbed)?.shape ?? [];
  const [hiddenSize = 0, patchSize = 0] = [shape[widthAxis], shape[patchAxis]];
  const depth = Math.max(blockCount(archive, /^blocks\.(\d+)\./), blockCount(archive, /^transformer_blocks\.(\d+)\./));
  const named = Object.entries(DIT_SIZES).find(([, size]) => size.hiddenSize === hiddenSize && size.depth === depth);
  return {
    name: named ? `-${named[0]}/${patchSize}` : '',
    sizes: `depth ${depth}, width ${hiddenSize}, patch ${patchSize}`,
  };
}
