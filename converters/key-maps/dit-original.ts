import type { KeyMap } from './key-map.ts';

/** facebookresearch/DiT models.py, as its train.py and its released .pt files name things. */
export const DIT_ORIGINAL: KeyMap = {
  rows: [
    { to: 'x_embedder.proj', from: 'x_embedder.proj', kind: 'conv' },
    { to: 't_embedder.mlp.0', from: 't_embedder.mlp.0', kind: 'linear' },
    { to: 't_embedder.mlp.2', from: 't_embedder.mlp.2', kind: 'linear' },
    { to: 'y_embedder.embedding_table', from: 'y_embedder.embedding_table', kind: 'table' },
    { to: 'blocks.{i}.adaLN_modulation.1', from: 'blocks.{i}.adaLN_modulation.1', kind: 'linear' },
    { to: 'blocks.{i}.attn.qkv', from: 'blocks.{i}.attn.qkv', kind: 'linear' },
    { to: 'blocks.{i}.attn.proj', from: 'blocks.{i}.attn.proj', kind: 'linear' },
    { to: 'blocks.{i}.mlp.fc1', from: 'blocks.{i}.mlp.fc1', kind: 'linear' },
    { to: 'blocks.{i}.mlp.fc2', from: 'blocks.{i}.mlp.fc2', kind: 'linear' },
    { to: 'final_layer.adaLN_modulation.1', from: 'final_layer.adaLN_modulation.1', kind: 'linear' },
    { to: 'final_layer.linear', from: 'final_layer.linear', kind: 'linear' },
  ],
  ignored: /^pos_embed$/, // a fixed table, made anew from the sizes
};
