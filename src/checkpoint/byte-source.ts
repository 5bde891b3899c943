import { FormatError } from '../errors.ts';

/**
 * Bytes that are read by position, never as a whole: a file, a Blob, later an HTTP range.
 */
export interface ByteSource {
  /** Shown in errors: a path or a URL. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`, in memory of their own.
   * @param into at least as many bytes, which may be used for them; the caller looks at what is returned
   * @throws FormatError when the range is not inside the source (a truncated file), FileError when reading fails.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** May be called again. */
  close(): Promise<void>;
}

/** @throws FormatError when `length` bytes from `offset` are not all inside the source. */
export function assertInside(source: ByteSource, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > source.size) {
    throw new FormatError(
      `${source.name}: expected ${length} bytes at offset ${offset}, but the file has ${source.size} bytes; ` +
        'it is truncated or damaged, get it again',
    );
  }
}

/** Runs `open`, which takes over `source` when it succeeds; when it fails, the source is closed. */
export async function takeOver<T>(source: ByteSource, open: (source: ByteSource) => Promise<T>): Promise<T> {
  try {
    return await open(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}
