/** Parts of a protobuf message, joined. */
export const message = (...fields: readonly Uint8Array[]): Uint8Array => Uint8Array.from(fields.flatMap((f) => [...f]));

/** A field of wire type 0. Negative numbers have ten bytes, as protobuf writes an int32. */
export const intField = (number: number, value: number): Uint8Array =>
  Uint8Array.from([...varint(BigInt(number) << 3n), ...varint(BigInt.asUintN(64, BigInt(value)))]);

/** A field of wire type 5. */
export function floatField(number: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return Uint8Array.from([...varint((BigInt(number) << 3n) | 5n), ...bytes]);
}

/** A field of wire type 1, which no reader here knows. */
export const doubleField = (number: number): Uint8Array =>
  Uint8Array.from([...varint((BigInt(number) << 3n) | 1n), ...new Uint8Array(8).fill(0xaa)]);

/** A field of wire type 2. */
export function bytesField(number: number, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return Uint8Array.from([...varint((BigInt(number) << 3n) | 2n), ...varint(BigInt(bytes.length)), ...bytes]);
}

export function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}
