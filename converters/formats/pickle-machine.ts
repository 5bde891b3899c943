import { quoted } from '../../src/checkpoint/quoted.ts';
import { FormatError } from '../../src/errors.ts';
import { describe, type PickleCall } from './pickle-values.ts';

/** By dotted name: functions, inert types, and values such as element types. What is not in it is refused. */
export type PickleGlobals = ReadonlyMap<string, unknown>;

export interface PickleOptions {
  /** Shown in errors: the file, and the entry in it. */
  readonly where: string;
  readonly globals: PickleGlobals;
  /** Gives the object outside the pickle (a torch storage) that an id stands for. */
  readonly persistentLoad?: (id: unknown, reader: PickleCall) => unknown;
}

/** The elements of tensors lie outside the pickle; names and shapes stay far below this. */
export const MAX_PICKLE_BYTES = 64 * 2 ** 20;
/** Opcodes, plus the items that functions copy. */
const MAX_WORK = 5_000_000;
const MAX_DEPTH = 1_000;
const MAX_MEMO = 1_000_000;
/** torch's own largest integer has 10 bytes. */
const MAX_INTEGER_BYTES = 256;
const NEWLINE = 0x0a;

/** The bytes, the stack and the memo of a pickle that is being read. Every step is checked; errors name the byte. */
export class PickleMachine implements PickleCall {
  private readonly view: DataView;
  private readonly stack: unknown[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, unknown>();
  private readonly text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  private work = 0;
  private opcodeAt = 0;
  private at: number;

  constructor(
    private readonly bytes: Uint8Array,
    readonly options: PickleOptions,
    start: number,
  ) {
    this.at = start;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** The byte after what has been read. */
  get position(): number {
    return this.at;
  }

  refuse(why: string): never {
    throw new FormatError(`${this.options.where}: at byte ${this.opcodeAt}, ${why}`);
  }

  damaged(why: string): never {
    return this.refuse(`${why}; the pickle is damaged, get the file again`);
  }

  charge(items: number): void {
    this.work += items;
    if (this.work > MAX_WORK)
      this.refuse(`more than ${MAX_WORK} steps; no checkpoint needs so many, do not use this file`);
  }

  /** @throws FormatError at the end of the bytes, where a STOP is missing. */
  opcode(): number {
    this.opcodeAt = this.at;
    this.charge(1);
    return this.u8();
  }

  // Reading

  u8(): number {
    return this.view.getUint8(this.advance(1));
  }

  u16(): number {
    return this.view.getUint16(this.advance(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  i32(): number {
    return this.view.getInt32(this.advance(4), true);
  }

  /** Lengths and frames; more than 2^53 is past the end anyway. */
  u64(): number {
    return Number(this.view.getBigUint64(this.advance(8), true));
  }

  /** Big-endian, unlike the rest. */
  f64(): number {
    return this.view.getFloat64(this.advance(8), false);
  }

  raw(length: number): Uint8Array {
    const start = this.advance(length);
    return this.bytes.subarray(start, start + length);
  }

  string(length: number): string {
    const bytes = this.raw(length);
    try {
      return this.text.decode(bytes);
    } catch {
      return this.damaged('a string is not UTF-8');
    }
  }

  line(): string {
    const end = this.bytes.indexOf(NEWLINE, this.at);
    if (end < 0) this.damaged('a name has no end');
    const line = this.string(end - this.at);
    this.at = end + 1;
    return line;
  }

  /** A signed little-endian integer of `length` bytes. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES)
      this.refuse(`an integer of ${length} bytes; no checkpoint has one, do not use this file`);
    const bytes = this.raw(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
    value = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  // Stack, marks and memo

  push(value: unknown): void {
    this.stack.push(value);
  }

  pop(): unknown {
    this.needItem();
    return this.stack.pop();
  }

  top(): unknown {
    this.needItem();
    return this.stack[this.stack.length - 1];
  }

  mark(): void {
    if (this.marks.length >= MAX_DEPTH)
      this.refuse(`more than ${MAX_DEPTH} values inside one another; do not use this file`);
    this.marks.push(this.stack.length);
  }

  popToMark(): unknown[] {
    const start = this.marks.pop();
    if (start === undefined) return this.damaged('a mark is missing');
    return this.stack.splice(start);
  }

  remember(key: number): void {
    if (this.memo.size >= MAX_MEMO) this.refuse(`more than ${MAX_MEMO} values to remember; do not use this file`);
    this.memo.set(key, this.top());
  }

  rememberNext(): void {
    this.remember(this.memo.size);
  }

  recall(key: number): unknown {
    if (!this.memo.has(key)) this.damaged(`value ${key} was never remembered`);
    return this.memo.get(key);
  }

  /** The result, which must be alone on the stack. */
  result(): unknown {
    const value = this.pop();
    if (this.stack.length > 0 || this.marks.length > 0) this.damaged('values are left over at the end');
    return value;
  }

  global(module: unknown, name: unknown): unknown {
    if (typeof module !== 'string' || typeof name !== 'string')
      this.damaged(`a name was expected, got ${describe(typeof module === 'string' ? name : module)}`);
    const full = `${module}.${name}`;
    if (this.options.globals.has(full)) return this.options.globals.get(full);
    return this.refuse(
      `the file asks Python for ${quoted(full)}, which is not among what a checkpoint of tensors needs. ` +
        'Nothing was run. If you trust the file, open it in PyTorch and save only its tensors: torch.save(model.state_dict(), path)',
    );
  }

  private advance(length: number): number {
    const start = this.at;
    if (length > this.bytes.length - start) this.damaged('it ends in the middle');
    this.at = start + length;
    return start;
  }

  private needItem(): void {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) this.damaged('a value is missing');
  }
}
