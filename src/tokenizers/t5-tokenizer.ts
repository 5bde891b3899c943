import type { ByteSource } from '../checkpoint/byte-source.ts';
import { type CheckpointFolder, readText } from '../checkpoint/folder.ts';
import { FileError, FormatError, OptionError } from '../errors.ts';
import { PIXART_CAPTION_LENGTH } from '../models/pixart-config.ts';
import { CharsmapNormalizer } from './charsmap.ts';
import { checkPrompt } from './prompt-length.ts';
import { parseSentencePieceModel } from './spiece-model.ts';
import { parseTokenizerJson } from './tokenizer-json.ts';
import { type Token, UnigramSegmenter } from './unigram.ts';
import { SPACE_SYMBOL, type UnigramModel } from './unigram-model.ts';

/** T5's has 0.8 MB, mT5's 4.3 MB. */
const MAX_MODEL_BYTES = 16 * 2 ** 20;

export interface EncodePromptOptions {
  /** How many tokens come out, </s> and padding counted. Default 120. */
  readonly maxLength?: number | undefined;
}

/** A prompt as the text encoder takes it. */
export interface EncodedPrompt {
  /** [maxLength]: pieces, </s>, padding. */
  readonly inputIds: Int32Array;
  /** [maxLength]: 1 for pieces and </s>, 0 for padding. */
  readonly attentionMask: Int32Array;
  /** The end of the prompt that did not fit, as the tokenizer reads it; undefined when all did. */
  readonly truncated: string | undefined;
}

/**
 * T5's tokenizer, SentencePiece unigram. Ids are those of Google's SentencePiece; tokens such as </s> or <extra_id_0>
 * that are written in a prompt are taken as such, as transformers' T5Tokenizer does. (@huggingface/tokenizers comes
 * close, but not to every id: it normalises by JavaScript's NFKC, and adds scores in double precision.)
 */
export class T5Tokenizer {
  private readonly normalizer: CharsmapNormalizer;
  private readonly segmenter: UnigramSegmenter;
  private readonly special: RegExp;

  private constructor(
    where: string,
    private readonly model: UnigramModel,
  ) {
    this.normalizer = new CharsmapNormalizer(where, model.charsmap);
    this.segmenter = new UnigramSegmenter(model);
    const longestFirst = [...model.specialTokens.keys()].sort((a, b) => b.length - a.length);
    this.special = new RegExp(`(${longestFirst.map(literally).join('|')})`, 'u');
  }

  /**
   * From the `tokenizer` folder of a checkpoint: its spiece.model, or else its tokenizer.json.
   * @throws FileError when it has neither, FormatError when the file is damaged or no tokenizer of T5's kind.
   */
  static async fromFolder(folder: CheckpointFolder): Promise<T5Tokenizer> {
    if (await folder.has('spiece.model')) {
      return T5Tokenizer.fromSentencePiece(
        `${folder.name}/spiece.model`,
        await readModel(await folder.open('spiece.model')),
      );
    }
    if (await folder.has('tokenizer.json')) {
      return T5Tokenizer.fromJson(`${folder.name}/tokenizer.json`, await readText(folder, 'tokenizer.json'));
    }
    throw new FileError(
      `${folder.name}: expected spiece.model or tokenizer.json, got neither; copy them from the tokenizer folder of the ` +
        'checkpoint (on huggingface.co: PixArt-alpha/PixArt-XL-2-512x512, or google/t5-v1_1-xxl for T5 alone)',
    );
  }

  /** From the bytes of a spiece.model. @throws FormatError as `fromFolder`. */
  static fromSentencePiece(where: string, bytes: Uint8Array): T5Tokenizer {
    return new T5Tokenizer(where, parseSentencePieceModel(where, bytes));
  }

  /** From the text of a tokenizer.json. @throws FormatError as `fromFolder`. */
  static fromJson(where: string, text: string): T5Tokenizer {
    return new T5Tokenizer(where, parseTokenizerJson(where, text));
  }

  /** Ids are below it; the text encoder's embedding has at least as many rows. */
  get vocabularySize(): number {
    return this.model.vocabularySize;
  }

  /**
   * A prompt's tokens, </s> last, padded with <pad>. Lone surrogates are read as U+FFFD.
   * @throws OptionError when the prompt is longer than MAX_PROMPT_LENGTH, or `maxLength` no positive whole number.
   */
  encode(prompt: string, { maxLength = PIXART_CAPTION_LENGTH }: EncodePromptOptions = {}): EncodedPrompt {
    checkPrompt(prompt);
    if (!Number.isSafeInteger(maxLength) || maxLength < 1) {
      throw new OptionError(`maxLength: expected a positive whole number, got ${maxLength}`);
    }
    const tokens = this.tokenize(prompt);
    const kept = tokens.slice(0, maxLength - 1);
    const cut = tokens.slice(maxLength - 1).map(({ text }) => text);
    const inputIds = new Int32Array(maxLength).fill(this.model.padId);
    inputIds.set([...kept.map(({ id }) => id), this.model.endId]);
    return {
      inputIds,
      attentionMask: new Int32Array(maxLength).fill(1, 0, kept.length + 1),
      truncated: cut.length > 0 ? cut.join('').replaceAll(SPACE_SYMBOL, ' ').trim() : undefined,
    };
  }

  private tokenize(prompt: string): Token[] {
    return prompt.split(this.special).flatMap((text) => {
      const id = this.model.specialTokens.get(text);
      return id === undefined ? this.segmenter.segment(this.normalizer.normalize(text)) : [{ id, text }];
    });
  }
}

async function readModel(source: ByteSource): Promise<Uint8Array> {
  try {
    if (source.size > MAX_MODEL_BYTES) {
      throw new FormatError(`${source.name}: ${source.size} bytes are too many for a tokenizer; it is no spiece.model`);
    }
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&');
}
