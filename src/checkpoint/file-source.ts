import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FileError, FormatError } from '../errors.ts';
import { assertInside, type ByteSource } from './byte-source.ts';
import { assertPlainFileName } from './file-names.ts';
import { isHubBlob } from './hub-links.ts';

/** One read call of Node takes at most 2^31 - 1 bytes. */
const MAX_READ = 2 ** 30;

/**
 * A file on disk, read by position. Loaded by dynamic import, because it needs Node.
 * @param name shown in errors
 * @throws FileError when the path is absent, unreadable or not a regular file.
 */
export async function fileSource(path: string, name = path): Promise<ByteSource> {
  const { handle, size } = await openRegularFile(path);
  const source: ByteSource = {
    name,
    size,
    async read(offset, length, into) {
      assertInside(source, offset, length);
      const bytes = into?.subarray(0, length) ?? allocate(path, length);
      await readFully(handle, path, bytes, offset);
      return bytes;
    },
    close: () => handle.close(),
  };
  return source;
}

/**
 * The file `name` of a folder, by its plain name and without leaving the folder; in a snapshot of huggingface_hub's cache
 * also the model's own blob that a link there leads to.
 * @throws FormatError when the name has a path in it or is a link to anywhere else, FileError as `fileSource`.
 */
export async function openFolderFile(folder: string, name: string): Promise<ByteSource> {
  assertPlainFileName(folder, name);
  const path = join(folder, name);
  const [realFolder, realFile] = await Promise.all([realpath(folder), realpath(path)]).catch((cause) => {
    throw unreadable(path, cause);
  });
  if (dirname(realFile) !== realFolder && !(await isHubBlob(realFolder, realFile))) {
    throw new FormatError(
      `${path}: is a link to ${realFile}, outside its folder; copy the folder with its links resolved (cp -rL)`,
    );
  }
  return fileSource(realFile, path);
}

async function openRegularFile(path: string): Promise<{ handle: FileHandle; size: number }> {
  try {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if (!(await stat(path)).isFile()) throw new FileError(`${path}: is not a file; name a checkpoint file`);
    const handle = await open(path, 'r');
    return { handle, size: (await handle.stat()).size };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

async function readFully(handle: FileHandle, path: string, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MAX_READ);
    const { bytesRead } = await handle.read(bytes, done, length, offset + done).catch((cause) => {
      throw unreadable(path, cause);
    });
    if (bytesRead === 0) {
      throw new FormatError(`${path}: ended at byte ${offset + done} while being read; it has been cut, get it again`);
    }
    done += bytesRead;
  }
}

function allocate(path: string, length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new FileError(`${path}: no memory for ${length} bytes at once; free memory or use a smaller checkpoint`, {
      cause,
    });
  }
}

function unreadable(path: string, cause: unknown): Error {
  if (cause instanceof FileError) return cause;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  const why: Record<string, string> = {
    ENOENT: 'there is no such file; check the path',
    ENOTDIR: 'there is no such file; check the path',
    EACCES: 'may not be read; change its permissions',
    EPERM: 'may not be read; change its permissions',
    ELOOP: 'is a link to itself; name the file it should lead to',
    EMFILE: 'too many files are open; raise the limit (ulimit -n)',
  };
  return new FileError(`${path}: ${why[code] ?? `could not be read (${code || String(cause)})`}`, { cause });
}
