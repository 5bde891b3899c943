import { interleaved, type Pair, pairTimes, type Side } from '../../src/lab/bench-pairs.ts';

/** Blocks that steps computed, every other one cached. */
const HALF = [28, 7, 28, 7];

describe('interleaved', () => {
  it('measures pairs whose order alternates, and keeps each side apart', async () => {
    const order: string[] = [];
    const pairs = await interleaved(3, async (side, pair) => {
      order.push(`${side} ${pair}`);
      return `${side} of ${pair}`;
    });
    expect(order).toEqual(['uncached 0', 'cached 0', 'cached 1', 'uncached 1', 'uncached 2', 'cached 2']);
    expect(pairs).toEqual([
      { first: 'uncached', uncached: 'uncached of 0', cached: 'cached of 0' },
      { first: 'cached', uncached: 'uncached of 1', cached: 'cached of 1' },
      { first: 'uncached', uncached: 'uncached of 2', cached: 'cached of 2' },
    ]);
  });

  it('never measures two things at once', async () => {
    let running = 0;
    await interleaved(2, async () => {
      running += 1;
      expect(running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running -= 1;
    });
    expect.assertions(4);
  });

  it('stops at the first failure', async () => {
    const measured: Side[] = [];
    const work = interleaved(3, async (side) => {
      measured.push(side);
      if (side === 'cached') throw new Error('failed on purpose');
    });
    await expect(work).rejects.toThrow('failed on purpose');
    expect(measured).toEqual(['uncached', 'cached']);
  });
});

describe('pairTimes', () => {
  const run = (stepSeconds: number[], stepBlocks = [28, 28, 28, 28]) => ({
    stepSeconds,
    stepBlocks,
    samplingSeconds: stepSeconds.reduce((sum, seconds) => sum + seconds, 0),
  });
  const pairs: Pair<ReturnType<typeof run>>[] = [
    { first: 'uncached', uncached: run([2, 2, 2, 2]), cached: run([3, 1, 3, 1], HALF) },
    { first: 'cached', uncached: run([3, 3, 3, 3]), cached: run([2, 1, 2, 1], HALF) },
    { first: 'uncached', uncached: run([4, 4, 4, 4]), cached: run([4, 2, 4, 0], HALF) },
  ];

  it('takes the median of the ratios of the pairs, uncached ÷ cached', () => {
    const times = pairTimes(pairs, 28);
    expect(times.pairs).toEqual([
      { first: 'uncached', uncachedSeconds: 8, cachedSeconds: 8, ratio: 1 },
      { first: 'cached', uncachedSeconds: 12, cachedSeconds: 6, ratio: 2 },
      { first: 'uncached', uncachedSeconds: 16, cachedSeconds: 10, ratio: 1.6 },
    ]);
    expect(times.latencyRatio).toBe(1.6); // that of the medians would be 12 ÷ 8
    expect(times.ratio).toEqual({ min: 1, median: 1.6, max: 2, spread: 1 });
    expect(times.uncachedSeconds).toEqual({ min: 8, median: 12, max: 16, spread: 8 });
    expect(times.cachedSeconds).toEqual({ min: 6, median: 8, max: 10, spread: 4 });
  });

  it('tells full steps from cached ones by the blocks that they computed', () => {
    const { stepSeconds } = pairTimes(pairs, 28);
    expect(stepSeconds.uncached).toEqual({ min: 2, median: 3, max: 4, spread: 2 });
    expect(stepSeconds.full).toEqual({ min: 2, median: 3, max: 4, spread: 2 });
    expect(stepSeconds.cached).toEqual({ min: 0, median: 1, max: 2, spread: 2 });
  });

  it('has no cached steps where nothing was reused', () => {
    const full = pairs.map((pair) => ({ ...pair, cached: { ...pair.cached, stepBlocks: [28, 28, 28, 28] } }));
    const { stepSeconds } = pairTimes(full, 28);
    expect(stepSeconds.cached).toBeNull();
    expect(stepSeconds.full).toEqual({ min: 0, median: 2, max: 4, spread: 4 });
  });
});
