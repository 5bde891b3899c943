import type { KeyMap } from './key-map.ts';

const EMBEDDERS = 'norm1.emb';

/** diffusers DiTTransformer2DModel. Every block holds a copy of the embedders; block 0's is taken. */
export const DIT_DIFFUSERS: KeyMap = {
  rows: [
    { to: 'x_embedder.proj', from: 'pos_embed.proj', kind: 'conv' },
    embedder('t_embedder.mlp.0', 'timestep_embedder.linear_1', 'linear'),
    embedder('t_embedder.mlp.2', 'timestep_embedder.linear_2', 'linear'),
    embedder('y_embedder.embedding_table', 'class_embedder.embedding_table', 'table'),
    { to: 'blocks.{i}.adaLN_modulation.1', from: 'transformer_blocks.{i}.norm1.linear', kind: 'linear' },
    {
      to: 'blocks.{i}.attn.qkv',
      from: ['to_q', 'to_k', 'to_v'].map((name) => `transformer_blocks.{i}.attn1.${name}`),
      kind: 'linear',
    },
    { to: 'blocks.{i}.attn.proj', from: 'transformer_blocks.{i}.attn1.to_out.0', kind: 'linear' },
    { to: 'blocks.{i}.mlp.fc1', from: 'transformer_blocks.{i}.ff.net.0.proj', kind: 'linear' },
    { to: 'blocks.{i}.mlp.fc2', from: 'transformer_blocks.{i}.ff.net.2', kind: 'linear' },
    { to: 'final_layer.adaLN_modulation.1', from: 'proj_out_1', kind: 'linear' },
    { to: 'final_layer.linear', from: 'proj_out_2', kind: 'linear' },
  ],
  ignored: /^pos_embed\.pos_embed$/,
};

function embedder(to: string, module: string, kind: 'linear' | 'table') {
  return {
    to,
    kind,
    from: `transformer_blocks.0.${EMBEDDERS}.${module}`,
    copies: `transformer_blocks.{i}.${EMBEDDERS}.${module}`,
  };
}
