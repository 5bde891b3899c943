import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { DIT_SIZES } from '../src/models/dit-config.ts';
import { blockCount } from './dit-configs.ts';
import { findAutoencoder } from './open-autoencoder.ts';

export type ModelKind =
  | 'dit-original'
  | 'dit-diffusers'
  | 'dit-converted'
  | 'autoencoder-kl'
  | 'pixart'
  | 't5-encoder'
  | 'unknown';

/** Which model a set of tensors is, told by names that no other has, and its sizes in words. */
export function detectModel(archive: TensorArchive): { readonly kind: ModelKind; readonly description: string } {
  const has = (name: string) => archive.tensors.has(name);
  if (has('y_embedder.y_proj.fc1.weight') || has('caption_projection.linear_1.weight')) {
    return { kind: 'pixart', description: 'PixArt; this version does not read it' };
  }
  if (has('y_embedder.embedding_table.weight') && has('x_embedder.proj.kernel')) {
    return { kind: 'dit-converted', description: `${ditName(archive, 'x_embedder.proj.kernel', 3, 0)}, converted` };
  }
  if (has('y_embedder.embedding_table.weight')) {
    return {
      kind: 'dit-original',
      description: `${ditName(archive, 'x_embedder.proj.weight', 0, 2)}, layout of facebookresearch/DiT`,
    };
  }
  if (has('transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight')) {
    return {
      kind: 'dit-diffusers',
      description: `${ditName(archive, 'pos_embed.proj.weight', 0, 2)}, layout of diffusers`,
    };
  }
  const autoencoder = findAutoencoder(archive);
  if (autoencoder || has('decoder.conv_in.kernel')) {
    return { kind: 'autoencoder-kl', description: `AutoencoderKL, ${autoencoderLayout(archive, autoencoder)}` };
  }
  if (has('encoder.block.0.layer.0.SelfAttention.q.weight')) {
    return { kind: 't5-encoder', description: 'T5; this version does not read it' };
  }
  return { kind: 'unknown', description: 'no model that is known here' };
}

function autoencoderLayout(archive: TensorArchive, found: ReturnType<typeof findAutoencoder>): string {
  if (!found) return 'converted';
  const { prefix, layout } = found;
  const under = prefix === '' ? '' : ` under ${prefix.slice(0, -1)}`;
  if (layout === 'ldm') return `layout of CompVis/latent-diffusion${under}`;
  const old = archive.tensors.has(`${prefix}decoder.mid_block.attentions.0.query.weight`);
  return `layout of diffusers${under}${old ? ', attention names of before 2023' : ''}`;
}

function ditName(archive: TensorArchive, patchEmbed: string, widthAxis: number, patchAxis: number): string {
  const shape = archive.tensors.get(patchEmbed)?.shape ?? [];
  const [hiddenSize = 0, patchSize = 0] = [shape[widthAxis], shape[patchAxis]];
  const depth = Math.max(blockCount(archive, /^blocks\.(\d+)\./), blockCount(archive, /^transformer_blocks\.(\d+)\./));
  const named = Object.entries(DIT_SIZES).find(([, size]) => size.hiddenSize === hiddenSize && size.depth === depth);
  const sizes = `depth ${depth}, width ${hiddenSize}, patch ${patchSize}`;
  return named ? `DiT-${named[0]}/${patchSize} (${sizes})` : `DiT (${sizes})`;
}
