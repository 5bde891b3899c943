import type { ByteSource } from '../../checkpoint/byte-source.ts';

export interface StoreLockOptions {
  /** Shown in errors. */
  readonly where: string;
  readonly signal?: AbortSignal | undefined;
  /** Called when another tab or process has it. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Keeps what was downloaded, in pieces under short keys of small letters, digits, dots and hyphens. What is written is
 * there whole or not at all, also when the page is closed or the process killed in the middle.
 */
export interface CheckpointStore {
  /** What and where it is, for errors. */
  readonly name: string;
  /** What to do when it is full, for errors. */
  readonly remedy: string;
  /** Undefined where nothing was written under the key. */
  read(key: string): Promise<ByteSource | undefined>;
  /** Replaces what is there. @throws FileError when there is no room for it */
  write(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Also where nothing is. */
  remove(key: string): Promise<void>;
  keys(): Promise<readonly string[]>;
  /** Bytes that can still be written; undefined where nobody says. */
  room(): Promise<number | undefined>;
  /** Runs `work` while nobody else does with the same key. @throws AbortError when stopped while waiting */
  exclusively<T>(key: string, options: StoreLockOptions, work: () => Promise<T>): Promise<T>;
}
