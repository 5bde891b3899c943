import * as z from 'zod';
import { quoted } from '../checkpoint/quoted.ts';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
import { FormatError } from '../errors.ts';
import { type Piece, SPACE_SYMBOL, type UnigramModel, unigramModel } from './unigram-model.ts';

/** Ids are kept in int32. */
const MAX_ID = 2 ** 31 - 1;

/** A normalizer or pre-tokenizer: one, or a Sequence of them. */
const STEP = z.looseObject({ type: z.string() });
const STEPS = STEP.nullish();

const SCHEMA = z.object({
  added_tokens: z.array(
    z.object({ id: z.number().int().nonnegative().max(MAX_ID), content: z.string().min(1), special: z.literal(true) }),
  ),
  normalizer: STEPS,
  pre_tokenizer: STEPS,
  model: z.object({
    type: z.literal('Unigram'),
    unk_id: z.number().int().nonnegative(),
    vocab: z.array(z.tuple([z.string(), z.number()])),
    byte_fallback: z.literal(false).nullish(),
  }),
});

/** SentencePiece's own joining of spaces, written anew in some files. */
const NORMALIZERS = ['Precompiled', 'Strip', 'Replace'];
const PRE_TOKENIZERS = ['WhitespaceSplit', 'Metaspace'];

/**
 * Hugging Face's tokenizer.json of a T5 tokenizer. Its steps are checked to be SentencePiece's, which are then done
 * as for a spiece.model.
 * @throws FormatError when it is damaged, or a tokenizer of another kind: the message names what it has.
 */
export function parseTokenizerJson(where: string, text: string): UnigramModel {
  const result = SCHEMA.safeParse(parseStrictJson(where, text));
  if (!result.success) {
    throw new FormatError(`${where}: is no tokenizer of T5's kind: ${z.prettifyError(result.error)}`);
  }
  const { added_tokens: added, normalizer, pre_tokenizer: preTokenizer, model } = result.data;
  const special = new Map(added.map(({ id, content }) => [content, id]));
  const pieces = model.vocab.map(([piece, score], id): Piece => {
    if (id === model.unk_id) return { text: piece, score, kind: 'unknown' };
    return { text: piece, score, kind: special.has(piece) ? 'control' : 'normal' };
  });
  for (const { id, content } of added) {
    const piece = pieces[id];
    if (piece && piece.text !== content) {
      throw new FormatError(
        `${where}: the added token ${quoted(content)} has the id of ${quoted(piece.text)}; it is damaged, get it again`,
      );
    }
  }
  checkMetaspace(where, steps(where, 'pre_tokenizer', preTokenizer, PRE_TOKENIZERS));
  return unigramModel(where, pieces, charsmap(where, steps(where, 'normalizer', normalizer, NORMALIZERS)), special);
}

type Step = z.infer<typeof STEP>;

/** A Sequence's steps, or the one step. */
function steps(where: string, place: 'normalizer' | 'pre_tokenizer', step: Step | null | undefined, known: string[]) {
  const list = { normalizer: 'normalizers', pre_tokenizer: 'pretokenizers' }[place];
  const inside = step?.type === 'Sequence' ? z.array(STEP).safeParse(step[list]) : undefined;
  const all = inside ? (inside.data ?? []) : step ? [step] : [];
  const other = all.find(({ type }) => !known.includes(type));
  if (other) {
    throw new FormatError(
      `${where}: has the ${place} ${quoted(other.type)}; T5's have ${known.join(', ')} alone, take that of the model's text encoder`,
    );
  }
  return all;
}

function checkMetaspace(where: string, preTokenizers: readonly Step[]): void {
  const metaspace = preTokenizers.find(({ type }) => type === 'Metaspace');
  const prepends = metaspace?.prepend_scheme ?? (metaspace?.add_prefix_space === false ? 'never' : 'always');
  if (metaspace?.replacement !== SPACE_SYMBOL || prepends !== 'always') {
    throw new FormatError(
      `${where}: expected a pre_tokenizer Metaspace that puts ${SPACE_SYMBOL} before each word, as T5's`,
    );
  }
}

function charsmap(where: string, normalizers: readonly Step[]): Uint8Array {
  const base64 = normalizers.find(({ type }) => type === 'Precompiled')?.precompiled_charsmap ?? '';
  try {
    return Uint8Array.from(atob(z.string().parse(base64)), (byte) => byte.charCodeAt(0));
  } catch (cause) {
    throw new FormatError(`${where}: its precompiled_charsmap is no base64; it is damaged, get it again`, { cause });
  }
}
