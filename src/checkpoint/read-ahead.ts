import { elementCount } from '../shape.ts';
import { bytesPerElement } from './dtypes.ts';
import { isDivisible, type StoredTensor } from './stored-tensor.ts';

/** Large tensors are read in pieces of so many bytes. */
const PIECE_BYTES = 4 * 2 ** 20;
/** Below this, memory of its own costs less than a buffer of a piece's size. */
const SMALL_BYTES = 64 * 2 ** 10;
/** Bytes that are on their way beside the piece in work. */
const AHEAD_BYTES = 3 * PIECE_BYTES;

/** Pieces, of which each may take a whole buffer. */
const MOST_AHEAD = 4;

/** Elements of a tensor that are read together. */
interface Piece {
  readonly tensor: StoredTensor;
  readonly start: number;
  readonly count: number;
}

/**
 * Reads tensors in an order that is known beforehand: the next pieces while one is in work, into buffers used again, so
 * that neither the disk nor the processor waits and memory holds a few pieces.
 */
export class ReadAhead {
  private readonly pieces = new Map<StoredTensor, readonly Piece[]>();
  private readonly waiting: Piece[] = [];
  private readonly started = new Map<Piece, Promise<Uint8Array>>();
  private aheadBytes = 0;
  private readonly free: Uint8Array[] = [];

  /** @param inPieces whether tensors that can be divided are, where they are large */
  constructor(private readonly inPieces: boolean) {}

  /** Says what will be read, in that order. */
  announce(tensors: readonly StoredTensor[]): void {
    for (const tensor of tensors) this.waiting.push(...this.piecesOf(tensor));
  }

  /** The bytes of a tensor, announced or not, piece by piece; each is the caller's until `giveBack`. */
  async *read(tensor: StoredTensor): AsyncGenerator<Uint8Array> {
    for (const piece of this.piecesOf(tensor)) yield await this.readPiece(piece);
    this.pieces.delete(tensor);
  }

  /** Lets the memory of a piece be used for another. */
  giveBack({ buffer }: Uint8Array): void {
    if (buffer.byteLength === PIECE_BYTES) this.free.push(new Uint8Array(buffer));
  }

  private readPiece(piece: Piece): Promise<Uint8Array> {
    const bytes = this.started.get(piece) ?? this.start(piece);
    if (this.started.delete(piece)) this.aheadBytes -= bytesOf(piece);
    else if (this.waiting[0] === piece) this.waiting.shift();
    this.startNext();
    return bytes;
  }

  private startNext(): void {
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      if (this.aheadBytes + bytesOf(next) > AHEAD_BYTES || this.started.size === MOST_AHEAD) return;
      this.waiting.shift();
      const bytes = this.start(next);
      bytes.catch(() => {}); // told when it is asked for
      this.started.set(next, bytes);
      this.aheadBytes += bytesOf(next);
    }
  }

  private async start(piece: Piece): Promise<Uint8Array> {
    const { tensor, start, count } = piece;
    const into = this.bufferFor(piece);
    const divided = count < elementCount(tensor.shape) && isDivisible(tensor);
    const bytes = await (divided ? tensor.readElements(start, count, into) : tensor.read(into));
    if (into && bytes.buffer !== into.buffer) this.giveBack(into);
    return bytes;
  }

  private bufferFor(piece: Piece): Uint8Array | undefined {
    const bytes = bytesOf(piece);
    if (!this.inPieces || bytes < SMALL_BYTES || bytes > PIECE_BYTES) return undefined;
    return this.free.pop() ?? new Uint8Array(PIECE_BYTES);
  }

  private piecesOf(tensor: StoredTensor): readonly Piece[] {
    const known = this.pieces.get(tensor);
    if (known) return known;
    const total = elementCount(tensor.shape);
    const most = PIECE_BYTES / bytesPerElement(tensor.dtype);
    const count = this.inPieces && isDivisible(tensor) ? Math.min(total, most) : total;
    const starts = Array.from({ length: Math.max(1, Math.ceil(total / count)) }, (_, i) => i * count);
    const pieces = starts.map((start) => ({ tensor, start, count: Math.min(count, total - start) }));
    this.pieces.set(tensor, pieces);
    return pieces;
  }
}

function bytesOf({ tensor, count }: Piece): number {
  return count * bytesPerElement(tensor.dtype);
}
