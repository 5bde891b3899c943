import { NULL_CAPTION } from '../../src/models/pixart-checkpoint.ts';
import type { KeyMap, KeyRow } from './key-map.ts';

const SIZE_EMBEDDERS: readonly KeyRow[] = ['csize_embedder', 'ar_embedder'].flatMap((embedder) => [
  { to: `${embedder}.mlp.0`, from: `${embedder}.mlp.0`, kind: 'linear' },
  { to: `${embedder}.mlp.2`, from: `${embedder}.mlp.2`, kind: 'linear' },
]);

/** PixArt-alpha/PixArt-alpha PixArt.py and PixArtMS.py, as its scripts and its released .pth files name things. */
export function pixArtOriginal({ microConditions }: { readonly microConditions: boolean }): KeyMap {
  return {
    rows: [
      { to: 'x_embedder.proj', from: 'x_embedder.proj', kind: 'conv' },
      { to: 't_embedder.mlp.0', from: 't_embedder.mlp.0', kind: 'linear' },
      { to: 't_embedder.mlp.2', from: 't_embedder.mlp.2', kind: 'linear' },
      ...(microConditions ? SIZE_EMBEDDERS : []),
      { to: 't_block.1', from: 't_block.1', kind: 'linear' },
      { to: 'y_embedder.y_proj.fc1', from: 'y_embedder.y_proj.fc1', kind: 'linear' },
      { to: 'y_embedder.y_proj.fc2', from: 'y_embedder.y_proj.fc2', kind: 'linear' },
      { to: NULL_CAPTION, from: 'y_embedder.y_embedding', kind: 'parameter', optional: true },
      { to: 'blocks.{i}.scale_shift_table', from: 'blocks.{i}.scale_shift_table', kind: 'parameter' },
      { to: 'blocks.{i}.attn.qkv', from: 'blocks.{i}.attn.qkv', kind: 'linear' },
      { to: 'blocks.{i}.attn.proj', from: 'blocks.{i}.attn.proj', kind: 'linear' },
      { to: 'blocks.{i}.cross_attn.q_linear', from: 'blocks.{i}.cross_attn.q_linear', kind: 'linear' },
      { to: 'blocks.{i}.cross_attn.kv_linear', from: 'blocks.{i}.cross_attn.kv_linear', kind: 'linear' },
      { to: 'blocks.{i}.cross_attn.proj', from: 'blocks.{i}.cross_attn.proj', kind: 'linear' },
      { to: 'blocks.{i}.mlp.fc1', from: 'blocks.{i}.mlp.fc1', kind: 'linear' },
      { to: 'blocks.{i}.mlp.fc2', from: 'blocks.{i}.mlp.fc2', kind: 'linear' },
      { to: 'final_layer.scale_shift_table', from: 'final_layer.scale_shift_table', kind: 'parameter' },
      { to: 'final_layer.linear', from: 'final_layer.linear', kind: 'linear' },
    ],
    ignored: /^pos_embed$/, // a table of one size; made anew for the size at hand
  };
}
