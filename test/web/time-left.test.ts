import type { BlockMap } from '../../src/web/messages.ts';
import { costOf, TimeLeft } from '../../src/web/time-left.ts';
import { decibels, seconds, secondsLeft } from '../../src/web/words.ts';

const COLUMNS: BlockMap = [
  ['recorded', 'computed', 'recorded'],
  ['reused', 'partly', 'reused'],
];

describe('costOf', () => {
  it('counts blocks to compute, all of a step that nothing is known of', () => {
    expect(costOf(COLUMNS, 2, 3)).toBe(3 + 1 + (0.5 + 1));
    expect(costOf([], 2, 3)).toBe(8);
  });
});

describe('TimeLeft', () => {
  it('expects what is left to cost what was done, block for block', () => {
    const time = new TimeLeft();
    expect([time.done, time.left]).toEqual([0, undefined]);
    time.expect(costOf(COLUMNS, 2, 3));
    expect([time.done, time.left]).toEqual([0, undefined]);
    time.step(3, 8);
    expect(time.left).toBeCloseTo(3);
    time.step(0.5, 3);
    expect([time.done, time.left]).toEqual([1, 0]);
    time.expect(5.5);
    expect([time.done, time.left]).toEqual([0.5, 11]);
  });
});

describe('words', () => {
  it('are as exact as what they say is', () => {
    expect([0.25, 2, 12.34, 125].map(seconds)).toEqual(['250 ms', '2.00 s', '12.3 s', '2 min 5 s']);
    expect([0.2, 12.1, 100].map(secondsLeft)).toEqual([
      'less than a second left',
      'about 13 s left',
      'about 2 min left',
    ]);
    expect([31.46, Number.POSITIVE_INFINITY].map(decibels)).toEqual(['31.5 dB', 'the pictures are equal']);
  });
});
