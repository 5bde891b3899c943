import type { ByteSource } from '../../src/checkpoint/byte-source.ts';
import { quoted } from '../../src/checkpoint/quoted.ts';
import { FormatError } from '../../src/errors.ts';
import { describe, type PickleCall, Tuple } from './pickle-values.ts';
import { isSize, parseStorageId, type StorageId, storageBytes } from './torch-globals.ts';
import { TorchStorage } from './torch-tensor.ts';

interface Root {
  readonly id: StorageId;
  readonly bytes: number;
  readonly storage: TorchStorage;
  /** Where its elements begin in the file; unknown until the storages have been walked. */
  dataOffset: number | undefined;
}

/** A part of another storage, as torch before 0.4 saved it, all in elements. */
interface StorageView {
  readonly key: string;
  readonly offset: number;
  readonly size: number;
}

/** The storages that the pickle of a legacy file names. Their bytes lie behind it, so places are told afterwards. */
export class LegacyStorages {
  private readonly roots = new Map<string, Root>();
  private readonly views = new Map<string, { readonly root: Root; readonly view: StorageView }>();

  constructor(private readonly source: ByteSource) {}

  /** The storage of a persistent id `('storage', class, key, location, count, view)`. */
  load(id: unknown, reader: PickleCall): TorchStorage {
    const root = this.root(parseStorageId(id, reader), reader);
    const view = parseView(id, reader);
    return view === undefined ? root.storage : this.view(root, view, reader);
  }

  /** @throws FormatError when no tensor names the storage, or it has its place already. */
  expected(key: unknown): { readonly count: number; readonly bytes: number } {
    const root = typeof key === 'string' ? this.roots.get(key) : undefined;
    if (!root || root.dataOffset !== undefined) {
      throw new FormatError(
        `${this.source.name}: the list of storages has ${quoted(key)}, which ` +
          `${root ? 'occurs twice' : 'no tensor names'}; get the file again`,
      );
    }
    return { count: root.id.count, bytes: root.bytes };
  }

  place(key: string, dataOffset: number): void {
    const root = this.roots.get(key);
    if (root) root.dataOffset = dataOffset;
  }

  /** @throws FormatError when a tensor names a storage that the file does not hold. */
  assertAllPlaced(): void {
    const lost = [...this.roots].find(([, { dataOffset }]) => dataOffset === undefined);
    if (lost) {
      throw new FormatError(
        `${this.source.name}: the storage ${quoted(lost[0])} is not in the file; a part is lost, get it again`,
      );
    }
  }

  private root(id: StorageId, reader: PickleCall): Root {
    const known = this.roots.get(id.key);
    if (known) {
      if (known.id.type === id.type && known.id.count === id.count) return known;
      return reader.refuse(`the storage ${quoted(id.key)} is given two types or sizes; do not use this file`);
    }
    const bytes = storageBytes(id);
    const root: Root = {
      id,
      bytes,
      storage: this.storage(id, bytes, (offset, length) => this.read(root, offset, length)),
      dataOffset: undefined,
    };
    this.roots.set(id.key, root);
    return root;
  }

  private view(root: Root, view: StorageView, reader: PickleCall): TorchStorage {
    const known = this.views.get(view.key);
    const same = known?.root === root && known.view.offset === view.offset && known.view.size === view.size;
    if (known && !same) return reader.refuse(`the view ${quoted(view.key)} is given two places; do not use this file`);
    if (view.offset + view.size > root.id.count) {
      return reader.refuse(
        `the view ${quoted(view.key)} of ${view.size} elements at ${view.offset} is not inside its storage of ` +
          `${root.id.count}; the file is damaged, get it again`,
      );
    }
    this.views.set(view.key, { root, view });
    const start = storageBytes({ ...root.id, count: view.offset });
    const bytes = storageBytes({ ...root.id, count: view.size });
    return this.storage(root.id, bytes, (offset, length) => this.read(root, start + offset, length));
  }

  private storage({ type, key }: StorageId, bytes: number, read: TorchStorage['read']): TorchStorage {
    const dtype = type.dtype === 'untyped' ? undefined : type.dtype;
    return new TorchStorage(`storage ${quoted(key)}`, dtype, bytes, false, read);
  }

  private read(root: Root, offset: number, length: number): Promise<Uint8Array> {
    // An offset that is no number is refused by the source.
    return this.source.read((root.dataOffset ?? Number.NaN) + offset, length);
  }
}

function parseView(id: unknown, reader: PickleCall): StorageView | undefined {
  const view = id instanceof Tuple && id.items.length === 6 ? id.items[5] : undefined;
  if (view === null) return undefined;
  const [key, offset, size, ...rest] = view instanceof Tuple ? view.items : [];
  if (typeof key !== 'string' || !isSize(offset) || !isSize(size) || rest.length > 0) {
    return reader.refuse(`a view of a storage was expected, got ${describe(view)}; get the file again`);
  }
  return { key, offset, size };
}
