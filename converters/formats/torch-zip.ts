import { type ByteSource, takeOver } from '../../src/checkpoint/byte-source.ts';
import { quoted } from '../../src/checkpoint/quoted.ts';
import { FormatError } from '../../src/errors.ts';
import { unpickle } from './pickle.ts';
import { MAX_PICKLE_BYTES } from './pickle-machine.ts';
import type { PickleCall } from './pickle-values.ts';
import type { TorchFile } from './torch-file.ts';
import { parseStorageId, storageBytes, TORCH_GLOBALS } from './torch-globals.ts';
import { TorchStorage } from './torch-tensor.ts';
import { readZipIndex, type ZipEntry, type ZipIndex } from './zip-index.ts';

/**
 * A zip of `torch.save` (torch 1.6 and newer). Takes over `source`, also when it fails.
 * @throws FormatError when the file is damaged, hostile, or no such zip.
 */
export function openTorchZip(source: ByteSource): Promise<TorchFile> {
  return takeOver(source, async () => {
    const index = await readZipIndex(source, (names) => refuseTorchScript(source.name, names));
    const pickle = await readEntry(source, entryOf(source.name, index, 'data.pkl'));
    const bigEndian = await isBigEndian(source, index);
    const root = unpickle(pickle, {
      where: `${source.name}: data.pkl`,
      globals: TORCH_GLOBALS,
      persistentLoad: storageLoader(source, index, bigEndian),
    });
    return {
      name: source.name,
      root,
      checksums: [...index.entries.values()].map(({ name, dataOffset: offset, size: bytes, crc32 }) => {
        return { file: source.name, name, offset, bytes, crc32 };
      }),
      close: () => source.close(),
    };
  });
}

function refuseTorchScript(where: string, names: readonly string[]): void {
  const script = names.find((name) => /^[^/]*\/(constants\.pkl$|code\/)/.test(name));
  if (script !== undefined) {
    throw new FormatError(
      `${where}: is a TorchScript program (it holds ${quoted(script)}), not a checkpoint; ` +
        'in PyTorch, save its tensors: torch.save(torch.jit.load(path).state_dict(), new_path)',
    );
  }
}

function entryOf(where: string, { root, entries }: ZipIndex, path: string): ZipEntry {
  const entry = entries.get(`${root}/${path}`);
  if (!entry) {
    throw new FormatError(
      `${where}: expected ${quoted(`${root}/${path}`)} in the zip; it is no torch.save file, or a part is lost`,
    );
  }
  return entry;
}

/** An entry that is read whole. */
function readEntry(source: ByteSource, entry: ZipEntry): Promise<Uint8Array> {
  if (entry.size > MAX_PICKLE_BYTES) {
    throw new FormatError(
      `${source.name}: ${entry.name}: expected at most ${MAX_PICKLE_BYTES} bytes, got ${entry.size}`,
    );
  }
  return source.read(entry.dataOffset, entry.size);
}

/** Absent before torch 2.0: little, as all machines of that time. */
async function isBigEndian(source: ByteSource, { root, entries }: ZipIndex): Promise<boolean> {
  const entry = entries.get(`${root}/byteorder`);
  if (!entry) return false;
  const order = new TextDecoder().decode(await readEntry(source, entry));
  if (order !== 'little' && order !== 'big') {
    throw new FormatError(
      `${source.name}: expected the byte order little or big, got ${quoted(order)}; get the file again`,
    );
  }
  return order === 'big';
}

/** Finds the entry of each storage that the pickle names; nothing is read yet. */
function storageLoader(source: ByteSource, { root, entries }: ZipIndex, bigEndian: boolean) {
  return (id: unknown, reader: PickleCall): TorchStorage => {
    const storage = parseStorageId(id, reader);
    const name = `${root}/data/${storage.key}`;
    const entry = entries.get(name);
    if (!entry)
      return reader.refuse(`the storage ${quoted(name)} is not in the zip; a part is lost, get the file again`);
    const expected = storageBytes(storage);
    if (entry.size !== expected) {
      return reader.refuse(
        `the storage ${quoted(name)} should have ${expected} bytes and has ${entry.size}; get the file again`,
      );
    }
    const dtype = storage.type.dtype === 'untyped' ? undefined : storage.type.dtype;
    const read = (offset: number, length: number, into?: Uint8Array) =>
      source.read(entry.dataOffset + offset, length, into);
    return new TorchStorage(name, dtype, entry.size, bigEndian, read);
  };
}
