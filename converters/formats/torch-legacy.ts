import { assertInside, type ByteSource, takeOver } from '../../src/checkpoint/byte-source.ts';
import { quoted } from '../../src/checkpoint/quoted.ts';
import { FormatError } from '../../src/errors.ts';
import { readPickle } from './pickle.ts';
import { MAX_PICKLE_BYTES } from './pickle-machine.ts';
import { describe, type PickleCall } from './pickle-values.ts';
import type { TorchFile } from './torch-file.ts';
import { TORCH_GLOBALS } from './torch-globals.ts';
import { LegacyStorages } from './torch-legacy-storages.ts';

/** MAGIC_NUMBER and PROTOCOL_VERSION of torch/serialization.py. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL_VERSION = 1001;
/** How much is read first; enough for the pickles of most files, whose end is known only once it is reached. */
const FIRST_PIECE_BYTES = 2 ** 20;
const GROWTH = 8;
const COUNT_BYTES = 8;

interface Pickles {
  readonly root: unknown;
  readonly storages: LegacyStorages;
  readonly keys: unknown;
  /** The byte after the last pickle. */
  readonly end: number;
}

/**
 * A file of `torch.save` before 1.6, or with `_use_new_zipfile_serialization=False`: pickles of a magic number, a
 * version, the machine that wrote it, the object, and the keys of its storages; then the storages in that order, each
 * with its element count before it. Numbers are little-endian whatever the machine was. Takes over `source`, also when
 * it fails.
 * @throws FormatError when the file is damaged, hostile, or no such file.
 */
export function openTorchLegacy(source: ByteSource): Promise<TorchFile> {
  return takeOver(source, async () => {
    const { root, storages, keys, end } = await readPickles(source, FIRST_PIECE_BYTES);
    await placeStorages(source, storages, keys, end);
    return { name: source.name, root, close: () => source.close() };
  });
}

/** Reads the pickles out of the first `length` bytes, or of more where they do not fit. */
async function readPickles(source: ByteSource, length: number): Promise<Pickles> {
  const most = Math.min(source.size, MAX_PICKLE_BYTES);
  const bytes = await source.read(0, Math.min(length, most));
  try {
    return parsePickles(source, bytes);
  } catch (error) {
    const mayBeCut = error instanceof FormatError && bytes.length < most;
    if (!mayBeCut) throw error;
  }
  return readPickles(source, length * GROWTH);
}

function parsePickles(source: ByteSource, bytes: Uint8Array): Pickles {
  const storages = new LegacyStorages(source);
  const persistentLoad = (id: unknown, reader: PickleCall) => storages.load(id, reader);
  let end = 0;
  const next = (): unknown => {
    const pickle = readPickle(bytes, { where: source.name, globals: TORCH_GLOBALS, persistentLoad }, end);
    end = pickle.end;
    return pickle.value;
  };
  const [magic, version, machine] = [next(), next(), next()];
  if (magic !== MAGIC || version !== PROTOCOL_VERSION || !(machine instanceof Map)) {
    throw new FormatError(
      `${source.name}: expected torch's magic number, version ${PROTOCOL_VERSION} and a dict, ` +
        `got ${String(magic)}, ${describe(version)} and ${describe(machine)}; get the file again`,
    );
  }
  const root = next();
  return { root, storages, keys: next(), end };
}

/** Walks the storages behind the pickles: all that are listed, each once, to the end of the file. */
async function placeStorages(source: ByteSource, storages: LegacyStorages, keys: unknown, start: number) {
  if (!Array.isArray(keys)) {
    throw new FormatError(`${source.name}: expected a list of storages, got ${describe(keys)}; get the file again`);
  }
  let at = start;
  for (const key of keys) {
    const { count, bytes } = storages.expected(key);
    const head = await source.read(at, COUNT_BYTES);
    const found = new DataView(head.buffer, head.byteOffset).getBigInt64(0, true);
    if (found !== BigInt(count)) {
      throw new FormatError(
        `${source.name}: the storage ${quoted(key)} should have ${count} elements and has ${found}; get the file again`,
      );
    }
    at += COUNT_BYTES;
    assertInside(source, at, bytes);
    storages.place(key, at);
    at += bytes;
  }
  storages.assertAllPlaced();
  if (at !== source.size) {
    throw new FormatError(
      `${source.name}: ${source.size - at} bytes follow the last storage; something may be hidden there, do not use this file`,
    );
  }
}
