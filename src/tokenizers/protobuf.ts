import { FormatError } from '../errors.ts';

/** How a field's bytes are laid out, by number (protobuf.dev, "Encoding"). Groups, 3 and 4, are out of use. */
const WIRE = ['varint', 'fixed64', 'bytes', 'group', 'group', 'fixed32'] as const;
type Wire = (typeof WIRE)[number];

/** One field of a message. A reader that does not know its number passes over it. */
export class ProtobufField {
  constructor(
    private readonly where: string,
    readonly number: number,
    private readonly wire: Wire,
    private readonly bytes: Uint8Array,
    private readonly varint: number,
  ) {}

  /** An int32, enum or bool. @throws FormatError when the field is none. So do the others. */
  asInt(): number {
    this.expect('varint');
    return this.varint;
  }

  asFloat(): number {
    this.expect('fixed32');
    return new DataView(this.bytes.buffer, this.bytes.byteOffset, 4).getFloat32(0, true);
  }

  /** Bytes or a message, in the memory of the whole. */
  asBytes(): Uint8Array {
    this.expect('bytes');
    return this.bytes;
  }

  asText(): string {
    const bytes = this.asBytes();
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw damaged(this.where, `field ${this.number} is no UTF-8 text`);
    }
  }

  private expect(wire: Wire): void {
    if (this.wire !== wire) throw damaged(this.where, `field ${this.number} is a ${this.wire}, expected a ${wire}`);
  }
}

/**
 * The fields of a protobuf message, in the order of the file.
 * @throws FormatError while they are taken, when the bytes are no message.
 */
export function* protobufFields(where: string, bytes: Uint8Array): Generator<ProtobufField> {
  const reader = new WireReader(where, bytes);
  while (!reader.done) {
    const { low: tag, high } = reader.varint();
    const number = tag >>> 3;
    const wire = WIRE[tag & 7];
    if (high !== 0 || number === 0 || wire === undefined || wire === 'group') {
      throw damaged(where, `no field starts with the number ${tag}`);
    }
    if (wire === 'varint') {
      yield new ProtobufField(where, number, wire, NO_BYTES, reader.varint().low | 0);
    } else {
      const length = wire === 'bytes' ? reader.length() : wire === 'fixed64' ? 8 : 4;
      yield new ProtobufField(where, number, wire, reader.take(length), 0);
    }
  }
}

const NO_BYTES = new Uint8Array(0);

class WireReader {
  private at = 0;

  constructor(
    private readonly where: string,
    private readonly bytes: Uint8Array,
  ) {}

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  /** Of 64 bits, seven to a byte, the lowest first. */
  varint(): { low: number; high: number } {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.take(1)[0] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift > 25) high |= shift < 32 ? bits >> (32 - shift) : bits << (shift - 32);
      if (byte < 0x80) return { low: low >>> 0, high: high >>> 0 };
    }
    throw damaged(this.where, 'a number has more than ten bytes');
  }

  length(): number {
    const { low, high } = this.varint();
    return high * 2 ** 32 + low;
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) {
      throw damaged(this.where, `a field of ${length} bytes has ${this.bytes.length - this.at} left`);
    }
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

function damaged(where: string, what: string): FormatError {
  return new FormatError(`${where}: ${what}; it is truncated or damaged, get it again`);
}
