import type { TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { blockCount } from '../transformer-configs.ts';
import type { KeyMap, KeyRow, ModuleKind } from './key-map.ts';

/** A tensor that only this layout has. */
export const LDM_MARK = 'decoder.mid.block_1.norm1.weight';

/** Module names of ldm/modules/diffusionmodules/model.py → ours, the levels of the decoder apart. */
const RENAMES: readonly [RegExp, string][] = [
  [/^encoder\.down\.(\d+)\./, 'encoder.down_blocks.$1.'],
  [/(_blocks\.\d+)\.block\.(\d+)\./, '$1.resnets.$2.'],
  [/(_blocks\.\d+)\.(down|up)sample\.conv$/, '$1.$2samplers.0.conv'],
  [/\.nin_shortcut$/, '.conv_shortcut'],
  [/\.mid\.block_1\./, '.mid_block.resnets.0.'],
  [/\.mid\.block_2\./, '.mid_block.resnets.1.'],
  [/\.mid\.attn_1\.norm$/, '.mid_block.attentions.0.group_norm'],
  [/\.mid\.attn_1\.([qkv])$/, '.mid_block.attentions.0.to_$1'],
  [/\.mid\.attn_1\.proj_out$/, '.mid_block.attentions.0.to_out.0'],
  [/^(encoder|decoder)\.norm_out$/, '$1.conv_norm_out'],
];
const MODULES = /^(?:encoder\.|decoder\.|quant_conv$|post_quant_conv$)/;

/** The linear layers of the attention are 1×1 convolutions here. */
const ATTENTION_LINEAR = /\.mid\.attn_1\.(?:[qkv]|proj_out)$/;
const KIND_OF_RANK: Readonly<Record<number, ModuleKind>> = { 1: 'norm', 2: 'linear', 4: 'conv' };

/**
 * AutoencoderKL of CompVis/latent-diffusion. As in diffusers' layout, the rows follow from the archive. What belongs to
 * the training (the discriminator under `loss.`, the bookkeeping of the average) is not needed.
 */
export function autoencoderKLLdm(archive: TensorArchive): KeyMap {
  const levels = blockCount(archive, /^decoder\.up\.(\d+)\./);
  const rows: KeyRow[] = [];
  for (const [name, { shape }] of archive.tensors) {
    const from = name.replace(/\.weight$/, '');
    const kind = KIND_OF_RANK[shape.length];
    if (from === name || !kind || !MODULES.test(from)) continue;
    const to = RENAMES.reduce((renamed, [old, ours]) => renamed.replace(old, ours), inwardsFirst(from, levels));
    rows.push({ to, from, kind: kind === 'conv' && ATTENTION_LINEAR.test(from) ? 'pointwise' : kind });
  }
  return { rows, ignored: /^(?:loss|model_ema)\./ };
}

/** Level 0 of the decoder is the image's there, and the latent's here. */
function inwardsFirst(module: string, levels: number): string {
  return module.replace(/^decoder\.up\.(\d+)/, (_, level) => `decoder.up_blocks.${levels - 1 - Number(level)}`);
}
