import { pythonRegExp, strip, unquotePlus } from '../../src/tokenizers/python-text.ts';
import { readPromptReference } from '../support/prompt-reference.ts';

const matches = (source: string, text: string) => [...text.matchAll(pythonRegExp(source))].map(([match]) => match);

describe('pythonRegExp', () => {
  it('\\w, \\d and \\s know Unicode as Python does', () => {
    expect(matches('\\w', 'aé字_²Ⅷ٣ '.concat('\u0301-·'))).toEqual(['a', 'é', '字', '_', '²', 'Ⅷ', '٣']);
    expect(matches('\\d', '1٣१²Ⅷ')).toEqual(['1', '٣', '१']);
    expect(matches('\\s', '\t\n\x0b\f\r \x1c\x1f\x85\xa0\u2003\u2028\u3000\ufeff\u200b')).toHaveLength(13);
  });

  it('\\b stands between a word and what is none', () => {
    expect(matches('\\b\\w+\\b', 'naïve, ٣字!')).toEqual(['naïve', '٣字']);
    expect('été'.replace(pythonRegExp('\\b'), '|')).toBe('|été|');
  });

  it('complements, and classes in brackets', () => {
    expect(matches('\\D', '1aé')).toEqual(['a', 'é']);
    expect(matches('\\S+', 'a\u3000b\x1cc')).toEqual(['a', 'b', 'c']);
    expect(matches('\\W', 'é\u0301.')).toEqual(['\u0301', '.']);
    expect(matches('[\\w/\\-]+', 'é/a-b c')).toEqual(['é/a-b', 'c']);
    expect(matches('[^\\s\\]]+', 'a\u3000b]')).toEqual(['a', 'b']);
    expect(matches('\\\\n', 'a\\nb\n')).toEqual(['\\n']);
  });
});

describe('strings', () => {
  it("strip takes Python's white space away, not a byte order mark", () => {
    expect(strip('\x1c \u3000a b\x85\n')).toBe('a b');
    expect(strip('\ufeffa\u200b')).toBe('\ufeffa\u200b');
  });

  it.each(readPromptReference().unquote)("unquotePlus equals urllib's: %j", (text, unquoted) => {
    expect(unquotePlus(text)).toBe(unquoted);
  });
});
