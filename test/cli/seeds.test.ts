import { expandSeeds } from '../../src/cli/seeds.ts';
import { OptionError } from '../../src/errors.ts';
import { MAX_PICTURES } from '../../src/pipelines/picture-settings.ts';

describe('expandSeeds', () => {
  it('takes each seed, and counts up from each', () => {
    expect(expandSeeds([7], 1)).toEqual([7]);
    expect(expandSeeds([9, 2], 1)).toEqual([9, 2]);
    expect(expandSeeds([10, 20], 3)).toEqual([10, 11, 12, 20, 21, 22]);
  });

  it('draws what is −1, or nothing', () => {
    for (const given of [undefined, [-1]]) {
      const [first = -1, second = -1] = expandSeeds(given, 2);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(first).toBeLessThan(2 ** 32);
      expect(second).toBe(first + 1);
    }
    expect(expandSeeds([-1], 1)).not.toEqual(expandSeeds([-1], 1));
    expect(expandSeeds([5, -1], 1)[0]).toBe(5);
  });

  const refused: [string, number[], number, RegExp][] = [
    ['a negative seed', [-5], 1, /^--seed: expected −1 for a random one, or a whole number from 0 to .*, got -5$/],
    ['a seed past the largest', [2 ** 53 - 1], 2, /^--seed: expected .*, got 9007199254740992$/],
    ['a seed twice', [3, 3], 1, /^--seed: 3 comes out twice/],
    ['runs that overlap', [1, 2], 2, /^--seed: 2 comes out twice, .* first of --count 2/],
    ['no pictures', [1], 0, /^--count: expected at least 1, got 0$/],
    ['more than anyone waits for', [1], MAX_PICTURES + 1, /^--count: expected at most 100000 pictures/],
  ];
  it.each(refused)('refuses %s', (_, given, count, text) => {
    expect(() => expandSeeds(given, count)).toThrow(OptionError);
    expect(() => expandSeeds(given, count)).toThrow(text);
  });
});
