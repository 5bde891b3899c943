/**
 * Bytes that are read by position, never as a whole: a file, a Blob, later an HTTP range.
 */
export interface ByteSource {
  /** Shown in errors: a path or a URL. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`.
   * @throws FormatError when the range is not inside the source (a truncated file), FileError when reading fails.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}
