import { namedReference, numericReference, unescapeHtml } from '../../src/tokenizers/html-entities.ts';
import { readPromptReference } from '../support/prompt-reference.ts';

describe('unescapeHtml', () => {
  it.each(readPromptReference().unescape)("equals Python's html.unescape: %j", (text, unescaped) => {
    expect(unescapeHtml(text)).toBe(unescaped);
  });
});

describe('single references', () => {
  it('by name: only whole ones', () => {
    expect(['amp', 'eacute', 'NotEqualTilde', 'ampx', 'nosuch', ''].map(namedReference)).toEqual([
      '&',
      'é',
      '≂̸',
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('by number: Windows-1252 for controls, U+FFFD for what is no character', () => {
    expect(['65', 'x41', 'X1f600', '128', '129', '0', 'xd800', '1114112', '11'].map(numericReference)).toEqual([
      'A',
      'A',
      '😀',
      '€',
      '\x81',
      '\ufffd',
      '\ufffd',
      '\ufffd',
      '\x0b',
    ]);
  });
});
