import { TorchGenerator } from '../../src/ops/randn.ts';

/** Draws for tests over many made-up values, the same for a seed. */
export class Draws {
  private readonly generator: TorchGenerator;

  constructor(seed: number) {
    this.generator = new TorchGenerator(seed);
  }

  /** A whole number from `low` to `high`. */
  whole(low: number, high: number): number {
    const unit = Math.abs(this.generator.randn(1)[0]!) % 1;
    return low + Math.floor(unit * (high - low + 1));
  }

  one<T>(of: readonly T[]): T {
    return of[this.whole(0, of.length - 1)]!;
  }

  many<T>(low: number, high: number, draw: () => T): T[] {
    return Array.from({ length: this.whole(low, high) }, draw);
  }

  maybe<T>(draw: () => T): T | undefined {
    return this.whole(0, 1) === 1 ? draw() : undefined;
  }
}
