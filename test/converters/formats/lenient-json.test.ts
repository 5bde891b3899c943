import { parseLenientJson } from '../../../converters/formats/lenient-json.ts';
import { FormatError } from '../../../src/errors.ts';

describe('parseLenientJson', () => {
  it.each<[string, unknown]>([
    ['{"lambda_min_clipped": -Infinity}', { lambda_min_clipped: Number.NEGATIVE_INFINITY }],
    ['[NaN, Infinity, -Infinity]', [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ['\uFEFF{"a":1}', { a: 1 }],
    ['{"NaN": "NaN", "b": "-Infinity, \\"NaN\\""}', { NaN: 'NaN', b: '-Infinity, "NaN"' }],
    ['{"a":"\\\\","b":NaN}', { a: '\\', b: Number.NaN }],
    ['NaN', Number.NaN],
    ['{"a": "\uFEFF"}', { a: '\uFEFF' }],
  ])('reads %s', (text, expected) => {
    expect(parseLenientJson('file', text)).toEqual(expected);
  });

  it.each([
    '',
    '{',
    '{a:1}',
    '+Infinity',
    'NaNs',
    '--Infinity',
    '{"a":1,}',
    "{'a':1}",
    '1 NaN',
    '\uFEFF\uFEFF{}',
    'None',
  ])('refuses %j', (text) => {
    expect(() => parseLenientJson('file', text)).toThrow(FormatError);
  });

  it('names the file', () => {
    expect(() => parseLenientJson('scheduler_config.json', '{')).toThrow(/^scheduler_config.json: expected JSON/);
  });

  it('refuses what is too long or too deep for a configuration', () => {
    expect(() => parseLenientJson('file', ' '.repeat(2 ** 20 + 1))).toThrow(/at most 1048576/);
    expect(() => parseLenientJson('file', '['.repeat(2 ** 20))).toThrow(FormatError);
    expect(parseLenientJson('file', `"${'a'.repeat(2 ** 20 - 2)}"`)).toHaveLength(2 ** 20 - 2);
  });
});
