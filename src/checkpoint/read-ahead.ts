import { elementCount } from '../shape.ts';
import { bytesPerElement } from './dtypes.ts';
import type { StoredTensor } from './stored-tensor.ts';

/** Bytes that are on their way beside those in work. */
const AHEAD_BYTES = 48 * 2 ** 20;
/** Below this a buffer of its own costs less than looking for one. */
const SMALL_BYTES = 64 * 2 ** 10;

/** Reads tensors in an order that is known beforehand, the next ones while one is in work, into buffers used again. */
export class ReadAhead {
  private waiting: StoredTensor[] = [];
  private readonly started = new Map<StoredTensor, Promise<Uint8Array>>();
  private aheadBytes = 0;
  private readonly free: Uint8Array[] = [];

  /** Says what will be read, in that order. */
  announce(tensors: readonly StoredTensor[]): void {
    this.waiting.push(...tensors);
  }

  /** The bytes of a tensor, announced or not; they are the caller's until `giveBack`. */
  async read(tensor: StoredTensor): Promise<Uint8Array> {
    const bytes = this.started.get(tensor) ?? this.start(tensor);
    this.started.delete(tensor);
    this.aheadBytes -= bytesOf(tensor);
    if (this.waiting[0] === tensor) this.waiting.shift();
    this.startNext();
    return bytes;
  }

  /** Lets the memory of what was read be used for the next. */
  giveBack({ buffer }: Uint8Array): void {
    if (buffer.byteLength >= SMALL_BYTES) this.free.push(new Uint8Array(buffer));
  }

  private startNext(): void {
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      if (this.aheadBytes > 0 && this.aheadBytes + bytesOf(next) > AHEAD_BYTES) return;
      if (bytesOf(next) > AHEAD_BYTES) return;
      this.waiting.shift();
      const bytes = this.start(next);
      bytes.catch(() => {}); // told when it is asked for
      this.started.set(next, bytes);
    }
  }

  private start(tensor: StoredTensor): Promise<Uint8Array> {
    this.aheadBytes += bytesOf(tensor);
    return tensor.read(this.takeBuffer(bytesOf(tensor)));
  }

  /** The smallest that will do. */
  private takeBuffer(bytes: number): Uint8Array | undefined {
    if (bytes < SMALL_BYTES) return undefined;
    const fitting = this.free.filter(({ length }) => length >= bytes);
    const buffer = fitting.reduce<Uint8Array | undefined>(
      (least, one) => (least && least.length <= one.length ? least : one),
      undefined,
    );
    if (buffer) this.free.splice(this.free.indexOf(buffer), 1);
    return buffer;
  }
}

function bytesOf({ shape, dtype }: StoredTensor): number {
  return elementCount(shape) * bytesPerElement(dtype);
}
