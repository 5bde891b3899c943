/** Bytes per step of the loop: eight tables let eight bytes be looked up at once ("slicing by 8"). */
const SLICES = 8;
/** The CRC-32 polynomial of zip and PNG (ISO 3309), bits reversed. */
const POLYNOMIAL = 0xedb88320;

/** The CRC-32 of bytes that follow others of the CRC-32 `before`. */
export type UpdateCrc32 = (bytes: Uint8Array, before: number) => number;

/** A running CRC-32; `value` is that of all bytes so far. */
export class Crc32 {
  private readonly tables: Tables;
  private state = 0xffffffff;

  /** @param native does the work where it is given */
  constructor(private readonly native?: UpdateCrc32) {
    this.tables = native ? NO_TABLES : makeTables();
  }

  update(bytes: Uint8Array): void {
    if (this.native) {
      this.state = ~this.native(bytes, this.value);
      return;
    }
    const [t0, t1, t2, t3, t4, t5, t6, t7] = this.tables;
    const whole = bytes.length - (bytes.length % SLICES);
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let crc = this.state;
    for (let i = 0; i < whole; i += SLICES) {
      const low = crc ^ words.getUint32(i, true);
      const high = words.getUint32(i + 4, true);
      crc =
        at(t7, low) ^
        at(t6, low >>> 8) ^
        at(t5, low >>> 16) ^
        at(t4, low >>> 24) ^
        at(t3, high) ^
        at(t2, high >>> 8) ^
        at(t1, high >>> 16) ^
        at(t0, high >>> 24);
    }
    for (let i = whole; i < bytes.length; i++) crc = (crc >>> 8) ^ at(t0, crc ^ words.getUint8(i));
    this.state = crc;
  }

  get value(): number {
    return ~this.state >>> 0;
  }
}

function at(table: Uint32Array, index: number): number {
  return table[index & 0xff] as number;
}

type Tables = readonly [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

const NO_TABLES = Array.from({ length: SLICES }, () => new Uint32Array()) as unknown as Tables;

/** Table k: the CRC of a byte that k zero bytes follow. */
function makeTables(): Tables {
  const tables = Array.from({ length: SLICES }, () => new Uint32Array(256));
  const [first] = tables as unknown as Tables;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[byte] = crc;
  }
  tables.slice(1).reduce((before, table) => {
    for (let byte = 0; byte < 256; byte++) table[byte] = (at(before, byte) >>> 8) ^ at(first, at(before, byte));
    return table;
  }, first);
  return tables as unknown as Tables;
}
