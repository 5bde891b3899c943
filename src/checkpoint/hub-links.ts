import { lstat, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The part of a snapshot's path that lies in the model's folder: its commit, and folders below. */
const SNAPSHOT = /[/\\]snapshots[/\\][0-9a-f]{40}(?=$|[/\\])/;
/** What huggingface_hub writes into its store of blobs that several models share, so that no other folder is taken for it. */
const STORE_MARK = '.huggingface-shared-blobs';
const STORE_LAYOUT = '1';

/**
 * Whether a file is content of the snapshot that a folder lies in: a blob of the same model (`models--owner--name/blobs/`),
 * or of the store that the models of one cache share (`blobs/ab/ab…`). Loaded by dynamic import, because it needs Node.
 * @param realFolder the folder, without links @param realFile the file, without links
 */
export async function isHubBlob(realFolder: string, realFile: string): Promise<boolean> {
  const model = realFolder.slice(0, SNAPSHOT.exec(realFolder)?.index ?? 0);
  if (!basename(model).startsWith('models--')) return false;
  const [folder, name] = [dirname(realFile), basename(realFile)];
  if (folder === join(model, 'blobs')) return true;
  const store = join(dirname(model), 'blobs');
  return /^[0-9a-f]{64}$/.test(name) && folder === join(store, name.slice(0, 2)) && (await isStore(store));
}

async function isStore(folder: string): Promise<boolean> {
  const mark = join(folder, STORE_MARK);
  const found = await lstat(mark).catch(() => undefined);
  return found?.isFile() === true && (await readFile(mark, 'utf8').catch(() => '')).trim() === STORE_LAYOUT;
}
