/**
 * PyTorch's CPU random numbers, so that a seed gives the same noise here and there.
 * Source: at::mt19937, at::native::normal_fill and normal_distribution<double> of PyTorch.
 */
const STATE_SIZE = 624;
const SHIFT_SIZE = 397;

class MersenneTwister {
  private readonly state = new Uint32Array(STATE_SIZE);
  private next = STATE_SIZE;

  constructor(seed: number) {
    this.state[0] = seed >>> 0;
    for (let j = 1; j < STATE_SIZE; j++) {
      const previous = this.state[j - 1] ?? 0;
      this.state[j] = Math.imul(1812433253, previous ^ (previous >>> 30)) + j;
    }
  }

  uint32(): number {
    if (this.next === STATE_SIZE) this.twist();
    let y = this.state[this.next++] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private twist(): void {
    const s = this.state;
    for (let k = 0; k < STATE_SIZE; k++) {
      const y = ((s[k] ?? 0) & 0x80000000) | ((s[(k + 1) % STATE_SIZE] ?? 0) & 0x7fffffff);
      s[k] = (s[(k + SHIFT_SIZE) % STATE_SIZE] ?? 0) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

/** Draws below this many elements take torch's scalar path, in double precision. */
const VECTOR_MINIMUM = 16;

/** The counterpart of `torch.Generator('cpu').manual_seed(seed)`. */
export class TorchGenerator {
  private readonly engine: MersenneTwister;
  private spare: number | undefined;

  /** @param seed an integer; as in PyTorch only its low 32 bits count. */
  constructor(readonly seed: number) {
    this.engine = new MersenneTwister(Number(BigInt.asUintN(32, BigInt(seed))));
  }

  /** `torch.randn(count, generator=…)` in float32, elements in the order in which torch lays them out. */
  randn(count: number): Float32Array {
    const values = new Float32Array(count);
    if (count < VECTOR_MINIMUM) {
      for (let i = 0; i < count; i++) values[i] = this.normal();
      return values;
    }
    for (let i = 0; i < count; i++) values[i] = this.uniform();
    for (let i = 0; i + 15 < count; i += 16) transformSixteen(values, i);
    if (count % 16 !== 0) {
      for (let i = count - 16; i < count; i++) values[i] = this.uniform();
      transformSixteen(values, count - 16);
    }
    return values;
  }

  private uniform(): number {
    return (this.engine.uint32() & 0xffffff) / 2 ** 24;
  }

  private uniformDouble(): number {
    const high = this.engine.uint32();
    const low = this.engine.uint32();
    return ((high & 0x1fffff) * 2 ** 32 + low) / 2 ** 53;
  }

  private normal(): number {
    if (this.spare !== undefined) {
      const value = this.spare;
      this.spare = undefined;
      return value;
    }
    const u1 = this.uniformDouble();
    const u2 = this.uniformDouble();
    const radius = Math.sqrt(-2 * Math.log1p(-u2));
    this.spare = radius * Math.sin(2 * Math.PI * u1);
    return radius * Math.cos(2 * Math.PI * u1);
  }
}

/** Box-Muller over 16 uniforms in place: pairs are (j, j + 8). */
function transformSixteen(values: Float32Array, start: number): void {
  for (let j = start; j < start + 8; j++) {
    const u1 = 1 - (values[j] ?? 0);
    const u2 = values[j + 8] ?? 0;
    const radius = Math.fround(Math.sqrt(Math.fround(-2 * Math.fround(Math.log(u1)))));
    const theta = Math.fround(2 * Math.PI * u2);
    values[j] = radius * Math.cos(theta);
    values[j + 8] = radius * Math.sin(theta);
  }
}
