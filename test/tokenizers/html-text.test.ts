import { htmlText } from '../../src/tokenizers/html-text.ts';
import { readPromptReference } from '../support/prompt-reference.ts';

describe('htmlText', () => {
  it.each(readPromptReference().html)("equals Beautiful Soup's text: %j", (markup, text) => {
    expect(htmlText(markup)).toBe(text);
  });

  it.each([
    ['a <![ b', 'a <![ b'],
    ['a <![foo]]> b', 'a <![foo]]> b'],
    ['<b>a</b> <![1]> <i>b</i>', 'a <![1]> b'],
  ])('takes for text what Beautiful Soup refuses: %j', (markup, text) => {
    expect(htmlText(markup)).toBe(text);
  });
});
