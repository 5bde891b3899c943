import type { TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import type { KeyMap, KeyRow, ModuleKind } from './key-map.ts';

/** Attention names of diffusers before 2023 → today's. */
const OLD_ATTENTION_NAMES: readonly [RegExp, string][] = [
  [/(attentions\.\d+)\.query$/, '$1.to_q'],
  [/(attentions\.\d+)\.key$/, '$1.to_k'],
  [/(attentions\.\d+)\.value$/, '$1.to_v'],
  [/(attentions\.\d+)\.proj_attn$/, '$1.to_out.0'],
];

const KIND_OF_RANK: Readonly<Record<number, ModuleKind>> = { 1: 'norm', 2: 'linear', 4: 'conv' };

/**
 * diffusers AutoencoderKL. Our names are diffusers' own, so the rows follow from the archive: a module's kind is the
 * rank of its weight, whatever the width and depth.
 */
export function autoencoderKLDiffusers(archive: TensorArchive): KeyMap {
  const rows: KeyRow[] = [];
  for (const [name, { shape }] of archive.tensors) {
    const kind = KIND_OF_RANK[shape.length];
    if (!name.endsWith('.weight') || !kind) continue;
    const from = name.slice(0, -'.weight'.length);
    const to = OLD_ATTENTION_NAMES.reduce((renamed, [old, today]) => renamed.replace(old, today), from);
    rows.push({ to, from, kind });
  }
  return { rows, ignored: /^$/ };
}
