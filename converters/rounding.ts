import { ROUND_MODULE } from './round-module.ts';

/** What `round.wat` exports. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly float16: Round;
  readonly bfloat16: Round;
}
type Round = (from: number, to: number, count: number) => number;

/** Floats that are rounded in one call: they and their halves are the module's memory. */
const BLOCK = 2 ** 18;

/** Rounds float32 to 16 bits as `encodeFloat32` does, four values at once. */
export class Rounding {
  private readonly module = instantiate();
  private readonly floats = new Float32Array(this.module.memory.buffer, 0, BLOCK);
  private readonly halves = new Uint16Array(this.module.memory.buffer, 4 * BLOCK, BLOCK);

  /** Memory from which `round` need not copy, for values that lie at its beginning; until the next `round` of others. */
  get scratch(): Uint8Array {
    return new Uint8Array(this.module.memory.buffer, 0, 4 * BLOCK);
  }

  /** @param rounded as long as `values` @returns whether a value is NaN, infinite, or larger than the type's largest finite one */
  round(values: Float32Array, dtype: 'F16' | 'BF16', rounded: Uint16Array): boolean {
    const round = dtype === 'F16' ? this.module.float16 : this.module.bfloat16;
    let odd = 0;
    for (let at = 0; at < values.length; at += BLOCK) {
      const block = values.subarray(at, at + BLOCK);
      const count = 4 * Math.ceil(block.length / 4);
      if (block.buffer !== this.floats.buffer) this.floats.set(block);
      this.floats.fill(0, block.length, count);
      odd |= round(0, this.halves.byteOffset, count);
      rounded.set(this.halves.subarray(0, block.length), at);
    }
    return odd !== 0;
  }
}

function instantiate(): Exports {
  const bytes = Uint8Array.from(atob(ROUND_MODULE), (character) => character.charCodeAt(0));
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Exports;
}
