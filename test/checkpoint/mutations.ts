import { DeltaDiTError } from '../../src/errors.ts';

/** Small numbers from a seed, the same on every run (mulberry32). */
export function seededIntegers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** A copy of the bytes with one to four places changed, cut, repeated or filled with a hostile number. */
export function mutated(bytes: Uint8Array, integer: (below: number) => number): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let edits = 1 + integer(4); edits > 0 && result.length > 1; edits--) {
    const at = integer(result.length);
    const kind = integer(10);
    if (kind === 0) result = result.slice(0, at);
    else if (kind === 1) result = Uint8Array.from([...result.subarray(0, at), ...result.subarray(integer(at + 1))]);
    else if (kind === 2) result.fill(0xff, at, at + 8);
    else if (kind === 3) result.fill(0, at, at + 4);
    else if (kind === 4) result[at] = (result[at]! ^ (1 << integer(8))) & 0xff;
    else result[at] = integer(256);
  }
  return result;
}

/** Reads many damaged copies: each is read or refused with an error of ours. Returns how many were refused. */
export async function refusals(
  valid: Uint8Array,
  times: number,
  read: (bytes: Uint8Array) => Promise<unknown> | unknown,
): Promise<number> {
  const integer = seededIntegers(times);
  let refused = 0;
  for (let i = 0; i < times; i++) {
    const bytes = mutated(valid, integer);
    try {
      await read(bytes);
    } catch (error) {
      if (!(error instanceof DeltaDiTError)) {
        throw new Error(`copy ${i}: ${String(error)}\n${Buffer.from(bytes).toString('base64')}`, { cause: error });
      }
      refused += 1;
    }
  }
  return refused;
}
