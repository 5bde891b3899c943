import { FileError } from '../errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space, or set HF_HUB_CACHE to a folder on another disk',
  EDQUOT: 'the disk quota is used up; free some space, or set HF_HUB_CACHE to a folder on another disk',
  EACCES: 'may not be written to; change its permissions, or set HF_HUB_CACHE to another folder',
  EPERM: 'may not be written to; change its permissions, or set HF_HUB_CACHE to another folder',
  EROFS: 'is on a read-only disk; set HF_HUB_CACHE to another folder',
  ENOTDIR: 'lies below something that is no folder; set HF_HUB_CACHE to another folder',
  EEXIST: 'lies below something that is no folder; set HF_HUB_CACHE to another folder',
};

/** Runs work on the cache's files. @throws FileError with what to do, for what the system refuses. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    throw new FileError(`${path}: ${REASONS[cause.code] ?? `could not be written (${cause.message})`}`, { cause });
  }
}

export function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return typeof error === 'object' && error !== null && 'syscall' in error && 'code' in error;
}
