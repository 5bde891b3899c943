import { fixEncoding } from '../../../src/tokenizers/ftfy/fix-encoding.ts';
import { fixText } from '../../../src/tokenizers/ftfy/fix-text.ts';
import { readPromptReference } from '../../support/prompt-reference.ts';

describe('fixText', () => {
  it.each(readPromptReference().ftfy)("equals ftfy's: %j", (text, fixed) => {
    expect(fixText(text)).toBe(fixed);
  });

  it('reads lone surrogates as U+FFFD', () => {
    expect(fixText('a\ud83d b\ude00 😀')).toBe('a\ufffd b\ufffd 😀');
  });

  it('is done when it is done', () => {
    for (const [, fixed] of readPromptReference().ftfy) {
      // a line with markup keeps its references, and those after it do
      if (!fixed.includes('<')) expect(fixText(fixed)).toBe(fixed);
    }
  });
});

describe('fixEncoding', () => {
  it.each([
    ['sÃ³', 'só'],
    ['â€œ like this â€�', '“ like this �'],
    ['Ã la mode', 'à la mode'],
    ['Ð¿Ñ€Ð¸Ð²ÐµÑ‚', 'привет'],
    ['ÃƒÂ©', 'é'],
    ['one cafÃ© and 日本', 'one café and 日本'],
    ['\x93x\x94', '“x”'],
    ['Å is a word, Ã no', 'Å is a word, Ã no'],
    ['L’été à Łódź, 5 €', 'L’été à Łódź, 5 €'],
  ])('%s → %s', (text, fixed) => {
    expect(fixEncoding(text)).toBe(fixed);
  });
});
