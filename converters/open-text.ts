import type { CheckpointFolder } from '../src/checkpoint/folder.ts';
import { type CheckpointLocation, locate, locationName } from '../src/checkpoint/location.ts';
import { TOKENIZER_FILES } from '../src/checkpoint/manifest.ts';
import { CheckpointError, FileError } from '../src/errors.ts';
import type { PixArtCheckpoint } from '../src/models/pixart-checkpoint.ts';
import { assertEncoderWidth } from '../src/models/t5-checkpoint.ts';
import { closingOnError } from './open-archive.ts';
import { openT5 } from './open-t5.ts';

export interface TextOptions {
  /** A folder of T5 v1.1, for checkpoints that carry none; wins over the checkpoint's own. */
  readonly textEncoder?: CheckpointLocation | undefined;
  /** A folder with `spiece.model` or `tokenizer.json`. Default: the checkpoint's own, else that of the text encoder. */
  readonly tokenizer?: CheckpointLocation | undefined;
}

/** Where a checkpoint keeps its text encoder and tokenizer, where it has them. */
interface OwnFolders {
  readonly textEncoder?: CheckpointFolder | undefined;
  readonly tokenizer?: CheckpointFolder | undefined;
}

/**
 * The text encoder and tokenizer that go with a transformer: those that were given, else those of the checkpoint.
 * @param captionChannels the width of the captions that the transformer takes
 * @throws FileError or CheckpointError when what was given is not there.
 */
export async function findTextParts(
  options: TextOptions,
  captionChannels: number,
  own: OwnFolders,
): Promise<Pick<PixArtCheckpoint, 'openTextEncoder' | 'tokenizer'>> {
  const encoder = (await givenFolder('--text-encoder', options.textEncoder)) ?? own.textEncoder;
  const given = await givenFolder('--tokenizer', options.tokenizer);
  if (given && !(await hasTokenizer(given))) {
    throw new CheckpointError(`--tokenizer ${given.name}: expected spiece.model or tokenizer.json in it`);
  }
  let tokenizer: CheckpointFolder | undefined;
  for (const folder of [given, own.tokenizer, encoder, encoder?.at('tokenizer')])
    if (!tokenizer && folder && (await hasTokenizer(folder))) tokenizer = folder;
  return { tokenizer, openTextEncoder: encoder && (() => openFitting(encoder, captionChannels)) };
}

async function openFitting(folder: CheckpointFolder, captionChannels: number) {
  const checkpoint = await openT5(folder);
  return closingOnError(checkpoint, async () => {
    assertEncoderWidth(checkpoint, captionChannels);
    return checkpoint;
  });
}

async function givenFolder(
  option: string,
  location: CheckpointLocation | undefined,
): Promise<CheckpointFolder | undefined> {
  if (location === undefined) return undefined;
  const found = await locate(location);
  if (found.kind === 'folder') return found.folder;
  throw new FileError(`${option} ${locationName(location)}: no such folder; give its path`);
}

async function hasTokenizer(folder: CheckpointFolder): Promise<boolean> {
  return (await folder.has('spiece.model')) || (await folder.has('tokenizer.json'));
}

/** The files of a tokenizer that are there. */
export async function tokenizerFiles(folder: CheckpointFolder): Promise<readonly (typeof TOKENIZER_FILES)[number][]> {
  const found: (typeof TOKENIZER_FILES)[number][] = [];
  for (const file of TOKENIZER_FILES) if (await folder.has(file)) found.push(file);
  return found;
}
