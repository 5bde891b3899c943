import { parseSize, readSwitches } from '../../src/cli/prompt-switches.ts';
import { OptionError } from '../../src/errors.ts';

describe('readSwitches', () => {
  it('takes nothing from a prompt without them', () => {
    for (const prompt of ['a cat', 'a --art deco house', 'ar 3:4', 'a--hwy 1:2', ''])
      expect(readSwitches(prompt)).toEqual({ prompt, size: undefined });
  });

  it.each([
    ['a cat --ar 3:4', 'a cat ', 'shape', 3, 4],
    ['a cat --aspect_ratio 16:9', 'a cat ', 'shape', 16, 9],
    ['a cat --hw 768:1280', 'a cat ', 'pixels', 768, 1280],
    ['--ar 1:1', '', 'shape', 1, 1],
    // the original looks for --aspect_ratio, then --ar, then --hw, wherever they stand
    ['a cat --hw 512:512 --ar 3:4 and more', 'a cat ', 'shape', 3, 4],
    ['a cat --ar 3:4 --aspect_ratio 2:1', 'a cat ', 'shape', 2, 1],
  ])('reads %j', (given, prompt, kind, height, width) => {
    expect(readSwitches(given)).toEqual({ prompt, size: { kind, height, width } });
  });

  it.each(['a --ar', 'a --ar 3', 'a --ar 0:4', 'a --hw 3:four', 'a --ar 3:4.5', 'a --hw 100000:1', 'a --ar -3:4'])(
    'refuses %j',
    (given) => {
      expect(() => readSwitches(given)).toThrow(OptionError);
      expect(() => readSwitches(given)).toThrow(/--(ar|hw).*expected height:width/);
    },
  );
});

it('parseSize names the option', () => {
  expect(parseSize('--ar', '3:4', 'shape')).toEqual({ kind: 'shape', height: 3, width: 4 });
  expect(() => parseSize('--ar', '4x3', 'shape')).toThrow(/^--ar: expected height:width .* got "4x3"/);
});
