import { readFileSync } from 'node:fs';
import { readPickle, unpickle } from '../../../converters/formats/pickle.ts';
import { PYTHON_GLOBALS } from '../../../converters/formats/pickle-globals.ts';
import { Complex, InertObject, Tuple } from '../../../converters/formats/pickle-values.ts';
import { TORCH_GLOBALS } from '../../../converters/formats/torch-globals.ts';
import { readZipIndex } from '../../../converters/formats/zip-index.ts';
import { FormatError } from '../../../src/errors.ts';
import { bytesSource } from '../../checkpoint/bytes-source.ts';
import { refusals } from '../../checkpoint/mutations.ts';
import { op, pickle } from './pickle-builder.ts';

const read = (...parts: number[][]) =>
  unpickle(pickle(op.proto(), ...parts, op.stop()), { where: 'test', globals: PYTHON_GLOBALS });
const call = (module: string, name: string, ...args: number[][]) =>
  [op.global(module, name), op.mark(), ...args, op.code('t'), op.code('R')].flat();

describe('unpickle', () => {
  it.each<[string, number[][], unknown]>([
    ['None', [op.none()], null],
    ['booleans', [op.raw(0x88), op.raw(0x89), op.raw(0x86)], new Tuple([true, false])],
    ['a negative int', [op.int(-7)], -7],
    ['LONG1 of no bytes', [op.long([])], 0],
    ['LONG1 0xff, which is -1', [op.long([0xff])], -1],
    ['LONG1 0x00ff, which is 255', [op.long([0xff, 0])], 255],
    ['LONG4', [op.raw(0x8b, 2, 0, 0, 0, 0, 0x80)], -32768],
    ['a long beyond 2^53', [op.long([0, 0, 0, 0, 0, 0, 0, 0, 1])], 2n ** 64n],
    [
      "torch's magic number",
      [op.long([0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19])],
      0x1950a86a20f9469cfc6cn,
    ],
    ['a big-endian float', [op.raw(0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0)], 1.5],
    ['text', [op.string('ü\u{1f600}')], 'ü\u{1f600}'],
    ['bytes', [op.bytes(0, 255)], Uint8Array.of(0, 255)],
    ['a list', [op.code(']'), op.int(1), op.code('a'), op.mark(), op.int(2), op.int(3), op.code('e')], [1, 2, 3]],
    ['LIST', [op.mark(), op.int(1), op.code('l')], [1]],
    ['DICT', [op.mark(), op.int(1), op.int(2), op.code('d')], new Map([[1, 2]])],
    ['a dict', [op.code('}'), op.string('a'), op.int(1), op.code('s')], new Map([['a', 1]])],
    [
      '__proto__ as a key',
      [op.code('}'), op.string('__proto__'), op.code('}'), op.code('s')],
      new Map([['__proto__', new Map()]]),
    ],
    ['a set', [op.raw(0x8f), op.mark(), op.int(1), op.int(1), op.raw(0x90)], new Set([1])],
    ['a frozenset', [op.mark(), op.int(1), op.raw(0x91)], new Set([1])],
    [
      'POP, POP_MARK and DUP',
      [op.int(1), op.int(2), op.code('0'), op.mark(), op.int(3), op.code('1'), op.code('2'), op.raw(0x86)],
      new Tuple([1, 1]),
    ],
    ['the memo', [op.string('a'), op.raw(0x71, 9), op.raw(0x68, 9), op.raw(0x86)], new Tuple(['a', 'a'])],
    ['MEMOIZE', [op.int(1), op.raw(0x94), op.raw(0x68, 0), op.raw(0x86)], new Tuple([1, 1])],
    [
      'STACK_GLOBAL',
      [op.short('collections'), op.short('OrderedDict'), op.raw(0x93), op.code(')'), op.code('R')],
      new Map(),
    ],
    [
      'OrderedDict of pairs',
      [call('collections', 'OrderedDict', op.code(']'), op.int(1), op.int(2), op.raw(0x86), op.code('a'))],
      new Map([[1, 2]]),
    ],
    ['Counter', [call('collections', 'Counter', op.code('}'), op.int(1), op.int(2), op.code('s'))], new Map([[1, 2]])],
    ['set of protocol 2', [call('__builtin__', 'set', op.code(']'), op.int(1), op.code('a'))], new Set([1])],
    [
      'bytes of protocol 2',
      [call('_codecs', 'encode', op.string('\x00ÿ'), op.string('latin1'))],
      Uint8Array.of(0, 255),
    ],
    ['an empty bytearray', [call('builtins', 'bytearray')], new Uint8Array()],
    [
      'complex',
      [call('builtins', 'complex', op.raw(0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), op.int(2))],
      new Complex(1.5, 2),
    ],
  ])('reads %s', (_, parts, expected) => {
    expect(read(...parts)).toEqual(expected);
  });

  it('keeps argparse.Namespace as a record', () => {
    const state = [op.code('}'), op.string('lr'), op.int(1), op.code('s')].flat();
    const value = read(op.global('argparse', 'Namespace'), op.code(')'), op.raw(0x81), state, op.code('b'));
    expect(value).toBeInstanceOf(InertObject);
    expect(value).toMatchObject({ type: 'argparse.Namespace', args: [], state: new Map([['lr', 1]]) });
  });

  it('reads a list of 300,000 and the same object twice', () => {
    const items = Array.from({ length: 300_000 }, () => [0x4b, 1]).flat();
    const value = read(
      op.code(']'),
      op.raw(0x71, 0),
      op.mark(),
      items,
      op.code('e'),
      op.raw(0x68, 0),
      op.raw(0x86),
    ) as Tuple;
    expect(value.items[0]).toHaveLength(300_000);
    expect(value.items[0]).toBe(value.items[1]);
  });

  it('reads a pickle in the middle and tells its end', () => {
    const bytes = pickle([1, 2], op.proto(), op.int(5), op.stop(), [9]);
    expect(readPickle(bytes, { where: 'test', globals: PYTHON_GLOBALS }, 2)).toEqual({ value: 5, end: 10 });
  });

  it.each([2, 3, 4, 5])('accepts protocol %i', (version) => {
    const bytes = pickle(op.proto(version), op.none(), op.stop());
    expect(unpickle(bytes, { where: 'test', globals: PYTHON_GLOBALS })).toBeNull();
  });
});

describe('what unpickle refuses', () => {
  const refused = (bytes: Uint8Array, message: RegExp) => {
    const start = Date.now();
    let error: unknown;
    try {
      unpickle(bytes, { where: 'test', globals: TORCH_GLOBALS });
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message.length).toBeLessThan(600);
    return Date.now() - start;
  };

  it.each([
    ['posix', 'system'],
    ['nt', 'system'],
    ['os', 'system'],
    ['subprocess', 'Popen'],
    ['builtins', 'eval'],
    ['builtins', 'exec'],
    ['builtins', 'getattr'],
    ['__builtin__', 'bytes'],
    ['operator', 'attrgetter'],
    ['copyreg', '_reconstructor'],
    ['torch', 'load'],
    ['torch', 'FloatTensor'],
    ['torch.nn.modules.linear', 'Linear'],
    ['torch._utils', '_rebuild_qtensor'],
    ['torch._utils', '_rebuild_sparse_tensor'],
    ['torch._utils', '_rebuild_meta_tensor_no_storage'],
    ['numpy.core.multiarray', '_reconstruct'],
    ['collections', 'OrderedDict.__init__'],
    ['collections.OrderedDict', ''],
    ['', 'collections.OrderedDict'],
    ['__proto__', 'constructor'],
    ['Object', 'prototype'],
  ])('the global %s.%s, by name, byte and remedy', (module, name) => {
    const bytes = pickle(op.proto(), op.global(module, name), op.stop());
    refused(bytes, new RegExp(`^test: at byte 2, the file asks Python for "${module}\\.${name}".*state_dict`));
    refused(pickle(op.proto(4), op.short(module), op.short(name), op.raw(0x93), op.stop()), /asks Python for/);
  });

  const body = (...parts: number[][]) => pickle(op.proto(), ...parts, op.stop());
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', pickle(), /ends in the middle/],
    ['no PROTO', pickle(op.none(), op.stop()), /no pickle of protocol/],
    ['protocol 1', pickle(op.proto(1), op.none(), op.stop()), /got 1/],
    ['protocol 6', pickle(op.proto(6), op.none(), op.stop()), /got 6/],
    ['a second PROTO', body(op.proto(), op.none()), /second PROTO/],
    ['no STOP', pickle(op.proto(), op.none()), /ends in the middle/],
    ['bytes after STOP', pickle(op.proto(), op.none(), op.stop(), op.stop()), /1 bytes follow/],
    ['values left over', body(op.none(), op.none()), /left over/],
    ['a mark left over', body(op.mark(), op.none()), /left over/],
    ['an empty stack', body(), /value is missing/],
    ['a pop below a mark', body(op.none(), op.mark(), op.code('0')), /value is missing/],
    ['no mark', body(op.code('t')), /mark is missing/],
    ['an unknown memo', body(op.raw(0x68, 3)), /value 3 was never remembered/],
    ['an unknown opcode', body(op.raw(0xff)), /no opcode 0xff/],
    ['a list append to a dict', body(op.code('}'), op.none(), op.code('a')), /list was expected, got dict/],
    ['a dict item on a list', body(op.code(']'), op.none(), op.none(), op.code('s')), /dict was expected, got list/],
    ['a key without value', body(op.code('}'), op.mark(), op.none(), op.code('u')), /no value/],
    ['set items on a tuple', body(op.code(')'), op.mark(), op.raw(0x90)), /set was expected/],
    ['a call of a string', body(op.string('os.system'), op.code(')'), op.code('R')), /call of str/],
    [
      'a call of what a call gave',
      body(call('collections', 'OrderedDict'), op.code(')'), op.code('R')),
      /call of dict/,
    ],
    [
      'a call without arguments',
      body(op.global('collections', 'OrderedDict'), op.none(), op.code('R')),
      /arguments were expected/,
    ],
    [
      'a new object of a function',
      body(op.global('collections', 'OrderedDict'), op.code(')'), op.raw(0x81)),
      /never made/,
    ],
    ['attributes of a list', body(op.code(']'), op.code('}'), op.code('b')), /attributes for list/],
    ['attributes that are no dict', body(op.code('}'), op.none(), op.code('b')), /attributes for dict/],
    [
      'attributes of a function',
      body(op.global('torch', 'Size'), op.code('}'), op.code('b')),
      /attributes for torch.Size/,
    ],
    ['a persistent id', body(op.none(), op.code('Q')), /outside the pickle/],
    ['EXT1', body(op.raw(0x82, 1)), /opcode EXT1/],
    ['EXT2', body(op.raw(0x83, 1, 0)), /opcode EXT2/],
    ['EXT4', body(op.raw(0x84, 1, 0, 0, 0)), /opcode EXT4/],
    ['PERSID', body([...new TextEncoder().encode('Pa\n')]), /opcode PERSID/],
    ['INST', body(op.mark(), [...new TextEncoder().encode('ios\nsystem\n')]), /opcode INST/],
    ['OBJ', body(op.mark(), op.code('o')), /opcode OBJ/],
    ['NEWOBJ_EX', body(op.raw(0x92)), /opcode NEWOBJ_EX/],
    ['buffers', body(op.raw(0x97)), /opcode NEXT_BUFFER/],
    ['text integers', body([...new TextEncoder().encode('I1\n')]), /opcode INT/],
    ['a name without end', pickle(op.proto(), [0x63, 0x61]), /no end/],
    ['text that is no UTF-8', body(op.raw(0x8c, 1, 0xff)), /not UTF-8/],
    ['a string longer than the file', body(op.raw(0x58, 255, 255, 255, 255)), /ends in the middle/],
    ['a string of 2^64 bytes', body(op.raw(0x8d, 255, 255, 255, 255, 255, 255, 255, 255)), /ends in the middle/],
    ['an integer of 2^31 bits', body(op.raw(0x8b, 0, 0, 0, 16)), /an integer of/],
    ['bytearray(size)', body(call('builtins', 'bytearray', op.int(2 ** 30))), /bytearray|_codecs.encode/],
    ['encode to a codec', body(call('_codecs', 'encode', op.string('a'), op.string('rot13'))), /not how Python saves/],
    [
      'encode of no Latin-1',
      body(call('_codecs', 'encode', op.string('€'), op.string('latin1'))),
      /not how Python saves/,
    ],
    ['a set of a dict', body(call('builtins', 'set', op.code('}'))), /set\(dict\)/],
    ['complex of text', body(call('builtins', 'complex', op.string('1'), op.int(1))), /complex\(str, number\)/],
    [
      'an OrderedDict of a list of numbers',
      body(call('collections', 'OrderedDict', op.code(']'), op.int(1), op.code('a'))),
      /OrderedDict\(list\)/,
    ],
    ['torch.Size of text', body(call('torch', 'Size', op.string('a'))), /torch.Size/],
    [
      'a tensor of no storage',
      body(call('torch._utils', '_rebuild_tensor_v2', op.none(), op.int(0), op.code(')'), op.code(')'))),
      /storage was expected/,
    ],
    ['a parameter of no tensor', body(call('torch._utils', '_rebuild_parameter', op.none())), /tensor was expected/],
    [
      'a tensor of another class',
      body(
        call(
          'torch._tensor',
          '_rebuild_from_type_v2',
          op.global('torch._utils', '_rebuild_tensor_v2'),
          op.none(),
          op.code(')'),
          op.none(),
        ),
      ),
      /of the class None/,
    ],
    [
      'a tensor made by itself',
      body(
        call(
          'torch._tensor',
          '_rebuild_from_type_v2',
          op.global('torch._tensor', '_rebuild_from_type_v2'),
          op.global('torch', 'Tensor'),
          op.code(')'),
          op.none(),
        ),
      ),
      /made by torch._tensor._rebuild_from_type_v2/,
    ],
  ])('%s', (_, bytes, message) => {
    refused(bytes, message);
  });

  it('values too deep in one another', () => {
    refused(body(Array.from({ length: 1001 }, op.mark).flat()), /more than 1000 values/);
  });

  it('more than a million remembered values', () => {
    const put = (key: number) => [0x72, key & 255, (key >> 8) & 255, (key >> 16) & 255, 0];
    const bytes = new Uint8Array(5 * 1_000_001 + 4);
    bytes.set([0x80, 2, 0x4e]);
    for (let i = 0; i <= 1_000_000; i++) bytes.set(put(i), 3 + 5 * i);
    refused(bytes, /values to remember/);
  });

  it('too many opcodes', () => {
    refused(new Uint8Array(5_000_010).fill(0x4e).fill(0x80, 0, 1).fill(2, 1, 2), /more than 5000000 steps/);
  });

  it('a pickle above 64 MB', () => {
    refused(new Uint8Array(64 * 2 ** 20 + 1), /at most 67108864/);
  });

  it('few bytes that would copy a list again and again', () => {
    const list = [op.code(']'), op.raw(0x71, 0), op.mark(), Array.from({ length: 100_000 }, () => 0x4e), op.code('e')];
    const copies = Array.from({ length: 100_000 }, () => [0x68, 1, 0x68, 0, 0x85, 0x52]).flat();
    refused(body(op.global('builtins', 'set'), op.raw(0x71, 1), ...list, copies), /steps/);
  });
});

describe('damaged pickles', () => {
  it.each(['training-2.pt', 'training-4.pt', 'parameters-2.pt', 'parameters-5.pt'])(
    '%s: 4,000 copies are read or refused',
    async (name) => {
      const source = bytesSource(new Uint8Array(readFileSync(`test/fixtures/torch/${name}`)));
      const { root, entries } = await readZipIndex(source);
      const { dataOffset, size } = entries.get(`${root}/data.pkl`)!;
      const valid = await source.read(dataOffset, size);
      const refused = await refusals(valid, 4_000, (bytes) =>
        unpickle(bytes, { where: 'test', globals: TORCH_GLOBALS, persistentLoad: (id) => id }),
      );
      expect(refused).toBeGreaterThan(1_000);
    },
  );
});
