const text = (value: string) => new TextEncoder().encode(value);

/** Pickle bytes written by hand, opcode by opcode. */
export const op = {
  proto: (version = 2) => [0x80, version],
  stop: () => [0x2e],
  none: () => [0x4e],
  mark: () => [0x28],
  int: (value: number) => [0x4a, ...new Uint8Array(Int32Array.of(value).buffer)],
  long: (bytes: number[]) => [0x8a, bytes.length, ...bytes],
  string: (value: string) => [0x58, ...new Uint8Array(Uint32Array.of(text(value).length).buffer), ...text(value)],
  short: (value: string) => [0x8c, text(value).length, ...text(value)],
  bytes: (...value: number[]) => [0x43, value.length, ...value],
  global: (module: string, name: string) => [0x63, ...text(`${module}\n${name}\n`)],
  code: (char: string) => [char.charCodeAt(0)],
  raw: (...bytes: number[]) => bytes,
};

export function pickle(...parts: number[][]): Uint8Array {
  return Uint8Array.from(parts.flat());
}
