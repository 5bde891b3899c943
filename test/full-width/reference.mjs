// What PyTorch computed at full width, and how far from it something is.
import { readFileSync } from 'node:fs';

/** The tensors of a small safetensors file, as float32 (integers too). */
export function readFixture(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  const values = ({ dtype, data_offsets: [begin, end] }) => {
    const data = bytes.subarray(8 + length + begin, 8 + length + end);
    const copy = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
    return dtype === 'F32' ? new Float32Array(copy) : Float32Array.from(new Int32Array(copy));
  };
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, entry]) => [name, { shape: entry.shape, values: values(entry) }]),
  );
}

/** ‖got − expected‖ ÷ ‖expected‖. */
export function relativeL2(got, expected) {
  let [difference, size] = [0, 0];
  expected.forEach((value, i) => {
    difference += (got[i] - value) ** 2;
    size += value ** 2;
  });
  return Math.sqrt(difference / size);
}
