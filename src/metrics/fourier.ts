/**
 * The discrete Fourier transform of one length, in double precision: X_k = Σ_j x_j·e^(−2πi·jk/n). Cooley and Tukey's
 * recursion over the prime factors, so that every length works; n·Σ(factors) multiplications, n² for a prime n.
 */
export class FourierTransform {
  private readonly factors: readonly number[];
  private readonly cos: Float64Array;
  private readonly sin: Float64Array;
  private readonly parts: Complex; // what `combine` reads before it writes to the same places

  constructor(readonly length: number) {
    this.factors = primeFactors(length);
    this.cos = Float64Array.from({ length }, (_, j) => Math.cos((2 * Math.PI * j) / length));
    this.sin = Float64Array.from({ length }, (_, j) => -Math.sin((2 * Math.PI * j) / length));
    const most = Math.max(1, ...this.factors);
    this.parts = { re: new Float64Array(most), im: new Float64Array(most) };
  }

  /** In place. */
  transform(re: Float64Array, im: Float64Array): void {
    const from = { re: re.slice(), im: im.slice() };
    this.pass(0, from, 0, 1, { re, im }, 0);
  }

  /** `from` taken every `stride` places from `first`, transformed to n/stride consecutive places of `to`. */
  private pass(level: number, from: Complex, first: number, stride: number, to: Complex, place: number): void {
    const factor = this.factors[level];
    if (factor === undefined) {
      to.re[place] = from.re[first] ?? 0;
      to.im[place] = from.im[first] ?? 0;
      return;
    }
    const part = this.length / stride / factor;
    for (let r = 0; r < factor; r++) {
      this.pass(level + 1, from, first + r * stride, stride * factor, to, place + r * part);
    }
    if (factor === 2) this.combinePairs(part, stride, to, place);
    else for (let k = 0; k < part; k++) this.combine(factor, part, stride, to, place + k, k);
  }

  /** `combine` of two parts at every k: with w = e^(−2πi·k/n), the sums are a + w·b and a − w·b. */
  private combinePairs(part: number, stride: number, { re, im }: Complex, place: number): void {
    const { cos, sin } = this;
    for (let k = 0; k < part; k++) {
      const [i, j, turn] = [place + k, place + k + part, k * stride];
      const [c, s] = [cos[turn] as number, sin[turn] as number];
      const turnedRe = (re[j] as number) * c - (im[j] as number) * s;
      const turnedIm = (re[j] as number) * s + (im[j] as number) * c;
      const [aRe, aIm] = [re[i] as number, im[i] as number];
      re[i] = aRe + turnedRe;
      im[i] = aIm + turnedIm;
      re[j] = aRe - turnedRe;
      im[j] = aIm - turnedIm;
    }
  }

  /** The `factor` sums at k, k + part, … out of the values at the same places. */
  private combine(factor: number, part: number, stride: number, { re, im }: Complex, place: number, k: number): void {
    const { parts, cos, sin, length } = this;
    for (let r = 0; r < factor; r++) {
      parts.re[r] = re[place + r * part] ?? 0;
      parts.im[r] = im[place + r * part] ?? 0;
    }
    for (let q = 0; q < factor; q++) {
      const step = (k + q * part) * stride; // below n
      let sumRe = 0;
      let sumIm = 0;
      for (let r = 0, turn = 0; r < factor; r++, turn = (turn + step) % length) {
        const a = parts.re[r] ?? 0;
        const b = parts.im[r] ?? 0;
        const c = cos[turn] ?? 0;
        const s = sin[turn] ?? 0;
        sumRe += a * c - b * s;
        sumIm += a * s + b * c;
      }
      re[place + q * part] = sumRe;
      im[place + q * part] = sumIm;
    }
  }
}

interface Complex {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

function primeFactors(n: number): number[] {
  const factors: number[] = [];
  for (let factor = 2; n > 1; factor++) {
    for (; n % factor === 0; n /= factor) factors.push(factor);
  }
  return factors;
}
