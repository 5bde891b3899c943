import { blobSource } from '../checkpoint/blob-source.ts';
import type { ByteSource } from '../checkpoint/byte-source.ts';
import { assertPlainFileName } from '../checkpoint/file-names.ts';
import type { CheckpointFolder } from '../checkpoint/folder.ts';
import type { CheckpointFile } from '../checkpoint/location.ts';
import { FileError } from '../errors.ts';
import type { ModelListing, RemoteModel } from './remote-model.ts';
import { keptContent } from './stored-content.ts';
import type { CheckpointStore } from './stores/checkpoint-store.ts';

/** A model whose files are in a store. */
export interface StoredModel extends ModelListing {
  readonly remote: Pick<RemoteModel, 'where' | 'show'>;
  readonly store: CheckpointStore;
}

/** A folder of it. @param path below the model's root; empty for that */
export function storedFolder(model: StoredModel, path: string): CheckpointFolder {
  const below = (name: string) => (path === '' ? name : `${path}/${name}`);
  const folder = path === '' ? model.remote.where : model.remote.show(path);
  return {
    name: folder,
    has: async (file) => model.texts.has(below(file)) || model.files.has(below(file)),
    open: async (file) => {
      assertPlainFileName(folder, file);
      return storedFile(model, below(file)).open();
    },
    at: (name) => storedFolder(model, below(name)),
  };
}

/** One file of it. */
export function storedFile(model: StoredModel, path: string): CheckpointFile {
  const name = model.remote.show(path);
  return { name, open: () => open(model, path, name) };
}

async function open({ texts, files, store }: StoredModel, path: string, name: string): Promise<ByteSource> {
  const text = texts.get(path);
  if (text !== undefined) return blobSource(new Blob([text]), name);
  const file = files.get(path);
  const content = file && (await keptContent(store, name, file));
  if (content) return content;
  throw new FileError(`${name}: is not in ${store.name}; load the model again, which downloads it`);
}
