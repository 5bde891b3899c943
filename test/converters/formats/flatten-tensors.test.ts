import { flattenTensors } from '../../../converters/formats/flatten-tensors.ts';
import { Tuple } from '../../../converters/formats/pickle-values.ts';
import type { TorchFile } from '../../../converters/formats/torch-file.ts';
import { TorchStorage, TorchTensor } from '../../../converters/formats/torch-tensor.ts';
import { CheckpointError, FormatError } from '../../../src/errors.ts';

const storage = new TorchStorage('data/0', 'U8', 4, false, async (_, length) => new Uint8Array(length));
const tensor = (size: number) => new TorchTensor(storage, 'U8', { shape: [size], strides: [1], offset: 0 });
const [one, two, three] = [tensor(1), tensor(2), tensor(3)];

function dict(entries: Record<string, unknown>): Map<string, unknown> {
  return new Map(Object.entries(entries));
}

function names(root: unknown, key?: string): Record<string, number> {
  const archive = flattenTensors(file(root), key);
  return Object.fromEntries([...archive.tensors].map(([name, { shape }]) => [name, shape[0]!]));
}

function file(root: unknown): TorchFile {
  return { name: 'file.pt', root, checksums: [], close: async () => {} };
}

describe('flattenTensors', () => {
  it('takes a bare state dict', () => {
    expect(names(dict({ 'a.weight': one, b: two, steps: 5 }))).toEqual({ 'a.weight': 1, b: 2 });
  });

  it('prefers ema, then state_dict, then model', () => {
    const [a, b, c] = [one, two, three].map((value) => dict({ w: value }));
    expect(names(dict({ model: a, state_dict: b, ema: c, opt: dict({ w: one }) }))).toEqual({ w: 3 });
    expect(names(dict({ model: a, state_dict: b }))).toEqual({ w: 2 });
    expect(names(dict({ model: a, epoch: 3 }))).toEqual({ w: 1 });
    expect(names(dict({ state_dict: dict({ model: c }) }))).toEqual({ w: 3 });
    expect(names(dict({ model: a, ema: new Map() }))).toEqual({ w: 1 });
  });

  it('takes the key that is asked for', () => {
    const root = dict({ ema: dict({ w: one }), model: dict({ w: two }) });
    expect(names(root, 'model')).toEqual({ w: 2 });
    expect(flattenTensors(file(root)).name).toBe('file.pt (ema)');
    expect(flattenTensors(file(root), 'model').name).toBe('file.pt (model)');
    expect(() => names(root, 'none')).toThrow(/no key "none"; its keys are ema, model/);
  });

  it('drops module. only where every name has it', () => {
    expect(names(dict({ 'module.a': one, 'module.b': two }))).toEqual({ a: 1, b: 2 });
    expect(names(dict({ 'module.a': one, b: two }))).toEqual({ 'module.a': 1, b: 2 });
  });

  it('joins the keys of nested dicts and lists with dots', () => {
    expect(names(dict({ a: dict({ b: one, c: [two, new Tuple([three])] }) }))).toEqual({
      'a.b': 1,
      'a.c.0': 2,
      'a.c.1.0': 3,
    });
    expect(names(new Map([[0, one]]))).toEqual({ '0': 1 });
  });

  it.each([
    ['nothing', null],
    ['no tensors', dict({ a: 1 })],
    ['one tensor alone', one],
  ])('refuses %s', (_, root) => {
    expect(() => names(root)).toThrow(CheckpointError);
  });

  it('refuses two tensors of one name, cycles, and dicts that multiply', () => {
    expect(() => names(dict({ 'a.b': one, a: dict({ b: two }) }))).toThrow(/the name "a.b"/);
    const cyclic = new Map<string, unknown>();
    cyclic.set('self', cyclic);
    expect(() => names(cyclic)).toThrow(FormatError);
    let doubled = dict({ w: one });
    for (let i = 0; i < 40; i++) doubled = dict({ a: doubled, b: doubled });
    expect(() => names(doubled)).toThrow(/more deeply or widely/);
  });
});
