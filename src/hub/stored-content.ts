import type { ByteSource } from '../checkpoint/byte-source.ts';
import { checksumOf } from '../checkpoint/checksum.ts';
import { joinSources } from '../checkpoint/joined-source.ts';
import type { HubFile } from './listing.ts';
import type { ByteSink } from './receive.ts';
import type { CheckpointStore } from './stores/checkpoint-store.ts';

/** What is lost of a download when a page is closed, and what is in memory of each file meanwhile. */
const PART_BYTES = 8 * 2 ** 20;
/** Ends the key that says of a content that its parts are all there and have been checked. */
const WHOLE = 'whole';

/** The content of a file, when it is in the store, whole and checked. @param name shown in errors */
export async function keptContent(
  store: CheckpointStore,
  name: string,
  file: HubFile,
): Promise<ByteSource | undefined> {
  const mark = await store.read(keyOf(file, WHOLE));
  if (!mark) return undefined;
  await mark.close();
  const content = joinSources(name, await partsOf(store, file));
  if (content.size === file.bytes) return content;
  await content.close(); // the browser has thrown some of it away
  return undefined;
}

/** Bytes of a file that are in the store, checked or not. */
export async function arrivedBytes(store: CheckpointStore, file: HubFile): Promise<number> {
  const content = joinSources('', await partsOf(store, file));
  await content.close();
  return Math.min(content.size, file.bytes);
}

/**
 * The content of a file on its way into a store, in parts of which each is kept as soon as it is full. It goes on after
 * those that are there. Only who has the store's lock of the file's key may have it open.
 */
export class StoredContent implements ByteSink {
  /** Bytes in the parts that are kept, and the next ones. */
  private kept = 0;
  private parts = 0;
  private readonly next: Uint8Array<ArrayBuffer>;
  private filled = 0;

  private constructor(
    private readonly store: CheckpointStore,
    private readonly file: HubFile,
    private readonly onLength: (length: number) => void,
  ) {
    this.next = new Uint8Array(Math.min(PART_BYTES, file.bytes));
  }

  static async open(store: CheckpointStore, file: HubFile, onLength: (length: number) => void): Promise<StoredContent> {
    await store.remove(keyOf(file, WHOLE)); // some of the parts that it spoke for are gone
    const content = new StoredContent(store, file, onLength);
    const parts = await partsOf(store, file);
    const last = parts.at(-1);
    const full = last && last.size < PART_BYTES ? parts.slice(0, -1) : parts;
    content.parts = full.length;
    content.kept = full.reduce((sum, { size }) => sum + size, 0);
    if (full.length < parts.length && last) await content.write(await last.read(0, last.size));
    await closeAll(parts);
    if (content.length > file.bytes) await content.restart();
    onLength(content.length);
    return content;
  }

  get length(): number {
    return this.kept + this.filled;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const piece = bytes.subarray(done, done + this.next.length - this.filled);
      this.next.set(piece, this.filled);
      this.filled += piece.length;
      done += piece.length;
      if (this.filled === this.next.length) await this.keepPart();
    }
    this.onLength(this.length);
  }

  async restart(): Promise<void> {
    const parts = await partsOf(this.store, this.file);
    await closeAll(parts);
    for (let part = parts.length - 1; part >= 0; part--) await this.store.remove(this.partKey(part)); // from the last, so that no gap is left in front of others
    [this.kept, this.parts, this.filled] = [0, 0, 0];
    this.onLength(0);
  }

  /** Keeps what has arrived, for another time. */
  async close(): Promise<void> {
    if (this.filled > 0) await this.store.write(this.partKey(this.parts), this.next.slice(0, this.filled));
  }

  /** Compares all with its checksum; only then it is what `keptContent` gives. False when it is something else. */
  async isRight(): Promise<boolean> {
    await this.close();
    const content = joinSources('', await partsOf(this.store, this.file));
    const { algorithm, hex } = this.file.checksum;
    try {
      return content.size === this.file.bytes && (await checksumOf(content, algorithm)) === hex;
    } finally {
      await content.close();
    }
  }

  async markWhole(): Promise<void> {
    await this.store.write(keyOf(this.file, WHOLE), new TextEncoder().encode(this.file.path));
  }

  private async keepPart(): Promise<void> {
    await this.store.write(this.partKey(this.parts), this.next.slice(0, this.filled));
    this.parts += 1;
    this.kept += this.filled;
    this.filled = 0;
  }

  private partKey(part: number): string {
    return keyOf(this.file, String(part));
  }
}

/** Those without a gap between them. */
async function partsOf(store: CheckpointStore, file: HubFile): Promise<ByteSource[]> {
  const parts: ByteSource[] = [];
  for (;;) {
    const part = await store.read(keyOf(file, String(parts.length)));
    if (!part) return parts;
    parts.push(part);
  }
}

async function closeAll(sources: readonly ByteSource[]): Promise<void> {
  await Promise.all(sources.map((source) => source.close()));
}

function keyOf({ checksum }: HubFile, part: string): string {
  return `${checksum.hex}.${part}`;
}
