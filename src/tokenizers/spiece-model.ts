import { FormatError } from '../errors.ts';
import { type ProtobufField, protobufFields } from './protobuf.ts';
import { type Piece, type PieceKind, type UnigramModel, unigramModel } from './unigram-model.ts';

/** ModelProto.SentencePiece.Type, from 1. */
const KINDS = ['normal', 'unknown', 'control', 'user-defined', 'unused', 'byte'] as const;
/** TrainerSpec.ModelType, from 1. */
const MODEL_TYPES = ['unigram', 'bpe', 'word', 'char'] as const;

/**
 * Google's spiece.model, a protobuf ModelProto (google/sentencepiece src/sentencepiece_model.proto). Unknown fields are
 * passed over.
 * @throws FormatError when it is damaged, or a model of another kind than T5's: the message names what it has.
 */
export function parseSentencePieceModel(where: string, bytes: Uint8Array): UnigramModel {
  const pieces: Piece[] = [];
  let charsmap = new Uint8Array(0);
  for (const field of protobufFields(where, bytes)) {
    if (field.number === 1) pieces.push(parsePiece(where, field.asBytes()));
    else if (field.number === 2) checkTrainer(where, field.asBytes());
    else if (field.number === 3) charsmap = parseNormalizer(where, field.asBytes());
  }
  if (pieces.length === 0)
    throw new FormatError(`${where}: holds no pieces; it is no SentencePiece model, get it again`);
  return unigramModel(where, pieces, charsmap);
}

function parsePiece(where: string, bytes: Uint8Array): Piece {
  let text = '';
  let score = 0;
  let type = 1;
  for (const field of protobufFields(where, bytes)) {
    if (field.number === 1) text = field.asText();
    else if (field.number === 2) score = field.asFloat();
    else if (field.number === 3) type = field.asInt();
  }
  return { text, score, kind: pieceKind(where, type) };
}

function pieceKind(where: string, type: number): PieceKind {
  const kind = KINDS[type - 1];
  if (kind === undefined || kind === 'user-defined' || kind === 'byte') {
    throw unlikeT5(where, `pieces of type ${kind ?? type}`);
  }
  return kind;
}

function checkTrainer(where: string, bytes: Uint8Array): void {
  for (const field of protobufFields(where, bytes)) {
    if (field.number === 3 && field.asInt() !== 1) {
      throw unlikeT5(where, `a model of type ${MODEL_TYPES[field.asInt() - 1] ?? field.asInt()}`);
    }
    refuseIf(where, field, 24, true, 'treat_whitespace_as_suffix');
    refuseIf(where, field, 35, true, 'byte_fallback');
  }
}

function parseNormalizer(where: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let charsmap = new Uint8Array(0);
  for (const field of protobufFields(where, bytes)) {
    if (field.number === 2) charsmap = field.asBytes().slice();
    refuseIf(where, field, 3, false, 'no add_dummy_prefix');
    refuseIf(where, field, 4, false, 'no remove_extra_whitespaces');
    refuseIf(where, field, 5, false, 'no escape_whitespaces');
  }
  return charsmap;
}

function refuseIf(where: string, field: ProtobufField, number: number, value: boolean, what: string): void {
  if (field.number === number && (field.asInt() !== 0) === value) throw unlikeT5(where, what);
}

function unlikeT5(where: string, what: string): FormatError {
  return new FormatError(
    `${where}: has ${what}; T5's tokenizers, which alone are read, are unigram models without it: take the spiece.model of the model's text encoder`,
  );
}
