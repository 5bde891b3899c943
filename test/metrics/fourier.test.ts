import { FourierTransform } from '../../src/metrics/fourier.ts';

const wavy = (length: number, phase: number) => Float64Array.from({ length }, (_, j) => Math.sin(j * j + phase) * 3);

/** By the definition. */
function direct(re: Float64Array, im: Float64Array): { re: number[]; im: number[] } {
  const n = re.length;
  const sum = (k: number, part: (angle: number, j: number) => number) =>
    re.reduce((total, _, j) => total + part((-2 * Math.PI * j * k) / n, j), 0);
  const frequencies = Array.from({ length: n }, (_, k) => k);
  return {
    re: frequencies.map((k) => sum(k, (angle, j) => re[j]! * Math.cos(angle) - im[j]! * Math.sin(angle))),
    im: frequencies.map((k) => sum(k, (angle, j) => re[j]! * Math.sin(angle) + im[j]! * Math.cos(angle))),
  };
}

describe('FourierTransform', () => {
  // 1, primes, powers, and products of different ones
  it.each([1, 2, 3, 4, 7, 8, 9, 12, 30, 49, 64, 97, 105, 128])('of %i values is the sum of its definition', (n) => {
    const [re, im] = [wavy(n, 1), wavy(n, 2)];
    const want = direct(re, im);
    new FourierTransform(n).transform(re, im);
    for (let k = 0; k < n; k++) {
      expect(re[k]).toBeCloseTo(want.re[k]!, 9);
      expect(im[k]).toBeCloseTo(want.im[k]!, 9);
    }
  });

  it('can be used again', () => {
    const transform = new FourierTransform(12);
    const [first, second] = [wavy(12, 1), wavy(12, 1)];
    transform.transform(first, wavy(12, 2));
    transform.transform(second, wavy(12, 2));
    expect(second).toEqual(first);
  });

  it('transforms part of a longer array in place', () => {
    const whole = wavy(20, 3);
    const before = whole.slice();
    new FourierTransform(6).transform(whole.subarray(5, 11), new Float64Array(6));
    expect(whole.slice(0, 5)).toEqual(before.slice(0, 5));
    expect(whole.slice(11)).toEqual(before.slice(11));
    expect(whole[5]).toBeCloseTo(
      before.slice(5, 11).reduce((sum, value) => sum + value, 0),
      12,
    );
  });
});
