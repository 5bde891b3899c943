import { NULL_CAPTION } from '../../src/models/pixart-checkpoint.ts';
import type { KeyMap, KeyRow } from './key-map.ts';

const EMBEDDERS = 'adaln_single.emb';
const SIZE_EMBEDDERS: readonly KeyRow[] = [
  ['csize_embedder', 'resolution_embedder'],
  ['ar_embedder', 'aspect_ratio_embedder'],
].flatMap(([to, from]) => [
  { to: `${to}.mlp.0`, from: `${EMBEDDERS}.${from}.linear_1`, kind: 'linear' },
  { to: `${to}.mlp.2`, from: `${EMBEDDERS}.${from}.linear_2`, kind: 'linear' },
]);

/** diffusers PixArtTransformer2DModel, and the Transformer2DModel that it was before. */
export function pixArtDiffusers({ microConditions }: { readonly microConditions: boolean }): KeyMap {
  const attention = (layer: string, names: readonly string[]) =>
    names.map((name) => `transformer_blocks.{i}.${layer}.${name}`);
  return {
    rows: [
      { to: 'x_embedder.proj', from: 'pos_embed.proj', kind: 'conv' },
      { to: 't_embedder.mlp.0', from: `${EMBEDDERS}.timestep_embedder.linear_1`, kind: 'linear' },
      { to: 't_embedder.mlp.2', from: `${EMBEDDERS}.timestep_embedder.linear_2`, kind: 'linear' },
      ...(microConditions ? SIZE_EMBEDDERS : []),
      { to: 't_block.1', from: 'adaln_single.linear', kind: 'linear' },
      { to: 'y_embedder.y_proj.fc1', from: 'caption_projection.linear_1', kind: 'linear' },
      { to: 'y_embedder.y_proj.fc2', from: 'caption_projection.linear_2', kind: 'linear' },
      // the released folders have it still, from when diffusers' model held it
      { to: NULL_CAPTION, from: 'caption_projection.y_embedding', kind: 'parameter', optional: true },
      { to: 'blocks.{i}.scale_shift_table', from: 'transformer_blocks.{i}.scale_shift_table', kind: 'parameter' },
      { to: 'blocks.{i}.attn.qkv', from: attention('attn1', ['to_q', 'to_k', 'to_v']), kind: 'linear' },
      { to: 'blocks.{i}.attn.proj', from: attention('attn1', ['to_out.0']), kind: 'linear' },
      { to: 'blocks.{i}.cross_attn.q_linear', from: attention('attn2', ['to_q']), kind: 'linear' },
      { to: 'blocks.{i}.cross_attn.kv_linear', from: attention('attn2', ['to_k', 'to_v']), kind: 'linear' },
      { to: 'blocks.{i}.cross_attn.proj', from: attention('attn2', ['to_out.0']), kind: 'linear' },
      { to: 'blocks.{i}.mlp.fc1', from: 'transformer_blocks.{i}.ff.net.0.proj', kind: 'linear' },
      { to: 'blocks.{i}.mlp.fc2', from: 'transformer_blocks.{i}.ff.net.2', kind: 'linear' },
      { to: 'final_layer.scale_shift_table', from: 'scale_shift_table', kind: 'parameter' },
      { to: 'final_layer.linear', from: 'proj_out', kind: 'linear' },
    ],
    ignored: /^pos_embed\.pos_embed$/,
  };
}
