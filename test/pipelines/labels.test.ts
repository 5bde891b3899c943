import { OptionError } from '../../src/errors.ts';
import { classIndex } from '../../src/pipelines/labels.ts';

const LABELS = ['heart, red heart', 'star', 'grinning face, smiley'];

describe('classIndex', () => {
  it.each([
    [2, 2],
    [0, 0],
    ['1', 1],
    ['heart', 0],
    ['red heart', 0],
    [' Smiley ', 2],
    ['STAR', 1],
  ])('%p is class %d', (wanted, index) => {
    expect(classIndex(wanted, LABELS, 3)).toBe(index);
  });

  it.each([3, -1, 1.5, Number.NaN, '3', 'hear', '', 'heart, red heart', '-1', '1.0'])('refuses %p', (wanted) => {
    expect(() => classIndex(wanted, LABELS, 3)).toThrow(OptionError);
  });

  it('says what exists', () => {
    expect(() => classIndex('moon', LABELS, 3)).toThrow(
      'class: expected a number from 0 to 2, or one of: heart, red heart · star · grinning face, smiley; got "moon"',
    );
    expect(() => classIndex('moon', [], 1000)).toThrow(
      'class: expected a number from 0 to 999; this checkpoint has no class names; got "moon"',
    );
  });

  it('takes the number of the null class for no class', () => {
    expect(() => classIndex(3, LABELS, 3)).toThrow(OptionError);
  });
});
