import { createHash, type Hash } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gitHeader } from '../checkpoint/checksum.ts';
import { onDisk } from './disk-errors.ts';
import type { HeldLock } from './file-lock.ts';
import type { HubFile } from './listing.ts';
import type { ByteSink } from './receive.ts';

const CHUNK_BYTES = 4 * 2 ** 20;

/**
 * A file that grows where an earlier download left it, and is hashed while it does. Only who holds its lock may have it
 * open. Needs Node.
 */
export class PartialFile implements ByteSink {
  private hash: Hash;
  private written = 0;

  private constructor(
    private readonly path: string,
    private readonly file: HubFile,
    private readonly handle: FileHandle,
    private readonly lock: HeldLock,
    private readonly onLength: (length: number) => void,
  ) {
    this.hash = startHash(file);
  }

  /** Reads what is there already, for its hash. @param onLength told whenever the length changes */
  static async open(
    path: string,
    file: HubFile,
    lock: HeldLock,
    onLength: (length: number) => void,
  ): Promise<PartialFile> {
    return onDisk(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT);
      const partial = new PartialFile(path, file, handle, lock, onLength);
      try {
        await partial.hashWhatIsThere();
      } catch (error) {
        await handle.close();
        throw error;
      }
      return partial;
    });
  }

  get length(): number {
    return this.written;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await onDisk(this.path, async () => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.handle.write(bytes, done, bytes.length - done, this.written + done);
        done += bytesWritten;
      }
    });
    this.add(bytes);
  }

  async restart(): Promise<void> {
    await this.lock.assertHeld(); // another process may have it open by now
    await onDisk(this.path, () => this.handle.truncate(0));
    this.hash = startHash(this.file);
    this.written = 0;
    this.onLength(0);
  }

  /** Whether all is there and is what it should be; it cannot grow after this. */
  isRight(): boolean {
    return this.written === this.file.bytes && this.hash.digest('hex') === this.file.checksum.hex;
  }

  /** Gives the file its name, synced. */
  async publish(path: string): Promise<void> {
    await onDisk(path, () => this.handle.sync());
    await this.lock.assertHeld();
    await onDisk(path, () => rename(this.path, path));
  }

  async discard(): Promise<void> {
    await this.lock.assertHeld();
    await onDisk(this.path, () => rm(this.path, { force: true }));
  }

  close(): Promise<void> {
    return this.handle.close();
  }

  private async hashWhatIsThere(): Promise<void> {
    const { size } = await this.handle.stat();
    if (size > this.file.bytes) return this.restart();
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size));
    while (this.written < size) {
      const { bytesRead } = await this.handle.read(chunk, 0, chunk.length, this.written);
      if (bytesRead === 0) break;
      this.add(chunk.subarray(0, bytesRead));
    }
  }

  private add(bytes: Uint8Array): void {
    this.hash.update(bytes);
    this.written += bytes.length;
    this.onLength(this.written);
  }
}

function startHash({ checksum, bytes }: HubFile): Hash {
  if (checksum.algorithm === 'sha256') return createHash('sha256');
  return createHash('sha1').update(gitHeader(bytes));
}
