import { FormatError } from '../../src/errors.ts';
import { protobufFields } from '../../src/tokenizers/protobuf.ts';
import { refusals } from '../checkpoint/mutations.ts';
import { bytesField, doubleField, floatField, intField, message, varint } from './protobuf-writer.ts';

const fields = (bytes: Uint8Array) => [...protobufFields('a message', bytes)];

describe('protobufFields', () => {
  it('reads every kind of field, in order', () => {
    const inner = message(intField(1, 7));
    const read = fields(
      message(intField(1, 300), floatField(2, -1.5), bytesField(3, 'café'), bytesField(40, inner), doubleField(5)),
    );
    expect(read.map(({ number }) => number)).toEqual([1, 2, 3, 40, 5]);
    expect(read[0]!.asInt()).toBe(300);
    expect(read[1]!.asFloat()).toBe(-1.5);
    expect(read[2]!.asText()).toBe('café');
    expect(fields(read[3]!.asBytes())[0]!.asInt()).toBe(7);
    expect(fields(new Uint8Array(0))).toEqual([]);
  });

  it.each([0, 1, 127, 128, 16_384, 2 ** 28, 2 ** 31 - 1, -1, -(2 ** 31)])('reads the int32 %d', (value) => {
    expect(fields(intField(1, value))[0]!.asInt()).toBe(value);
  });

  it('refuses a field of another kind than the reader expects', () => {
    const [int, text] = fields(message(intField(1, 1), bytesField(2, Uint8Array.of(0xff))));
    expect(() => int!.asText()).toThrow(new FormatError(`a message: field 1 is a varint, expected a bytes${AGAIN}`));
    expect(() => int!.asFloat()).toThrow(FormatError);
    expect(() => text!.asInt()).toThrow(FormatError);
    expect(() => text!.asText()).toThrow(new FormatError(`a message: field 2 is no UTF-8 text${AGAIN}`));
  });

  it.each([
    ['a length past the end', Uint8Array.of(0x0a, 5, 1), 'a field of 5 bytes has 1 left'],
    [
      'a length of four petabytes',
      Uint8Array.of(0x0a, ...varint(2n ** 52n)),
      'a field of 4503599627370496 bytes has 0',
    ],
    ['a length of 64 bits', Uint8Array.of(0x0a, ...varint(2n ** 64n - 1n)), 'bytes has 0 left'],
    ['a number without end', new Uint8Array(11).fill(0x80), 'a number has more than ten bytes'],
    ['a number that is cut', Uint8Array.of(0x08, 0x80), 'a field of 1 bytes has 0 left'],
    ['a float that is cut', Uint8Array.of(0x15, 0, 0), 'a field of 4 bytes has 2 left'],
    ['field 0', Uint8Array.of(0x00, 1), 'no field starts with the number 0'],
    ['a group', Uint8Array.of(0x0b), 'no field starts with the number 11'],
    ['an unknown wire type', Uint8Array.of(0x0f), 'no field starts with the number 15'],
  ])('refuses %s', (_, bytes, why) => {
    expect(() => fields(bytes)).toThrow(FormatError);
    expect(() => fields(bytes)).toThrow(why);
  });

  it('ends every damaged message in an error of ours', async () => {
    const whole = message(
      intField(1, -1),
      bytesField(2, 'piece'),
      floatField(3, 0.5),
      doubleField(9),
      intField(300, 4),
    );
    for (let length = 0; length < whole.length; length++) {
      await refusals(whole.subarray(0, length), 1, fields);
    }
    expect(await refusals(whole, 2000, fields)).toBeGreaterThan(500);
  });
});

const AGAIN = '; it is truncated or damaged, get it again';
