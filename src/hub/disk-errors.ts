import { FileError } from '../errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space, or',
  EDQUOT: 'the disk quota is used up; free some space, or',
  EACCES: 'may not be written to; change its permissions, or',
  EPERM: 'may not be written to; change its permissions, or',
  EROFS: 'is on a read-only disk;',
  ENOTDIR: 'lies below something that is no folder;',
  EEXIST: 'lies below something that is no folder;',
};

/**
 * Runs work on the cache's files.
 * @param variable of the environment that says where the cache is
 * @throws FileError with what to do, for what the system refuses.
 */
export async function onDisk<T>(path: string, work: () => Promise<T>, variable = 'HF_HUB_CACHE'): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    const reason = REASONS[cause.code];
    const why = reason
      ? `${reason} set ${variable} to a folder on another disk`
      : `could not be written (${cause.message})`;
    throw new FileError(`${path}: ${why}`, { cause });
  }
}

export function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return typeof error === 'object' && error !== null && 'syscall' in error && 'code' in error;
}
