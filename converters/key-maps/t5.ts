import type { TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import type { KeyMap, KeyRow } from './key-map.ts';

const SHARED = 'shared';
/** The same table again, or alone: a module is named after whoever holds it. */
const EMBED_TOKENS = 'encoder.embed_tokens';
const LAYER = 'encoder.block.{i}.layer';
const RELATIVE_BIAS = 'encoder.block.0.layer.0.SelfAttention.relative_attention_bias';

/**
 * transformers' T5EncoderModel, or the encoder of a whole T5. Our names are its own, with `kernel` [in,out] for the linears.
 */
export function t5Encoder({ tensors }: TensorArchive): KeyMap {
  const holders = [SHARED, EMBED_TOKENS].filter((module) => tensors.has(`${module}.weight`));
  const [table = SHARED, copy] = holders;
  return {
    rows: [
      { to: SHARED, from: table, kind: 'table', ...(copy !== undefined && { copies: copy }) },
      { to: RELATIVE_BIAS, from: RELATIVE_BIAS, kind: 'table' },
      ...['q', 'k', 'v', 'o'].map((name) => same(`${LAYER}.0.SelfAttention.${name}`, 'projection')),
      same(`${LAYER}.0.layer_norm.weight`, 'parameter'),
      ...['wi_0', 'wi_1', 'wo'].map((name) => same(`${LAYER}.1.DenseReluDense.${name}`, 'projection')),
      same(`${LAYER}.1.layer_norm.weight`, 'parameter'),
      same('encoder.final_layer_norm.weight', 'parameter'),
    ],
    ignored: /^(?:decoder\.|lm_head\.weight$)/,
  };
}

function same(name: string, kind: KeyRow['kind']): KeyRow {
  return { to: name, from: name, kind };
}
