import { MAX_PICTURES, OptionError } from '../index.ts';

/** What `--seed` takes for a random one. */
const RANDOM = -1;

/**
 * The seeds of each class: those given, each the first of `count` that count up. A random one where none is given.
 * @throws OptionError for a negative seed, no or too many pictures, or a seed that comes out twice.
 */
export function expandSeeds(given: readonly number[] | undefined, count: number): number[] {
  if (count < 1) throw new OptionError(`--count: expected at least 1, got ${count}`);
  const firsts = given ?? [RANDOM];
  if (firsts.length * count > MAX_PICTURES)
    throw new OptionError(
      `--count: expected at most ${MAX_PICTURES} pictures in one run, got ${firsts.length * count}`,
    );
  const seeds = firsts.flatMap((seed) => {
    const first = seed === RANDOM ? randomSeed() : seed;
    return Array.from({ length: count }, (_, i) => checked(first + i));
  });
  const seen = new Set<number>();
  for (const seed of seeds) {
    if (seen.has(seed)) {
      throw new OptionError(
        `--seed: ${seed} comes out twice, and a picture would be made twice; each --seed is the first of --count ${count}, leave one out`,
      );
    }
    seen.add(seed);
  }
  return seeds;
}

function checked(seed: number): number {
  if (Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw new OptionError(`--seed: expected −1 for a random one, or a whole number from 0 to 2^53 − 1, got ${seed}`);
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
