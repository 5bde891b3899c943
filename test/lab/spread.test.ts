import { meanOf, medianOf, spreadOf, stdOf } from '../../src/lab/spread.ts';

it('min, median, max and their distance', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3, spread: 2 });
  expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4, spread: 3 });
  expect(spreadOf([0.5])).toEqual({ min: 0.5, median: 0.5, max: 0.5, spread: 0 });
});

it('leaves its input as it was', () => {
  const values = [10, 9, 1];
  spreadOf(values);
  expect(values).toEqual([10, 9, 1]);
});

it('sorts numbers as numbers, infinite ones last', () => {
  expect(medianOf([100, 9, 20])).toBe(20);
  expect(medianOf([Number.POSITIVE_INFINITY, 1, 2])).toBe(2);
  expect(medianOf([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])).toBe(Number.POSITIVE_INFINITY);
  expect(medianOf([Number.POSITIVE_INFINITY, 1])).toBe(Number.POSITIVE_INFINITY);
});

it('has nothing to say of no values', () => {
  expect(() => spreadOf([])).toThrow(RangeError);
});

it("mean and the sample's standard deviation", () => {
  const values = [2, 4, 4, 4, 5, 5, 7, 9];
  expect(meanOf(values)).toBe(5);
  expect(stdOf(values)).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(stdOf([3])).toBe(0);
});
