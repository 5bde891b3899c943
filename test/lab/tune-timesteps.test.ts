import { OptionError } from '../../src/errors.ts';
import { placeTimesteps, withNodeMoved } from '../../src/lab/tune-timesteps.ts';

const RANGE = { highest: 999, lowest: 1 };

describe('moving a node', () => {
  const search = { ...RANGE, nodes: [0, 2, 4] };

  it('lets the steps between nodes follow evenly', () => {
    expect(withNodeMoved([900, 700, 500, 300, 100], search, 1, -40)).toEqual([900, 680, 460, 280, 100]);
    expect(withNodeMoved([900, 700, 500, 300, 100], search, 2, 20)).toEqual([900, 700, 500, 310, 120]);
  });

  it('refuses timesteps that do not fall, or leave their range', () => {
    expect(withNodeMoved([900, 700, 500, 300, 100], search, 0, 100)).toBeUndefined();
    expect(withNodeMoved([900, 700, 500, 300, 100], search, 2, -100)).toBeUndefined();
    expect(withNodeMoved([900, 700, 500, 300, 100], search, 1, 400)).toBeUndefined();
  });
});

describe('placing timesteps', () => {
  const start = [900, 500, 100];
  /** Nearest to 820, 430, 100. */
  const score = async ([a = 0, b = 0]: readonly number[]) => 40 - Math.abs(a - 820) / 50 - Math.abs(b - 430) / 50;

  it('goes where the score is best', async () => {
    const scores: number[] = [];
    const found = await placeTimesteps({
      ...{ ...RANGE, timesteps: start, nodes: [0, 1, 2], score, budget: 100 },
      onScore: (_, best) => scores.push(best),
    });
    expect(found.psnr).toBeGreaterThan(39);
    expect(found.timesteps[2]).toBe(100);
    expect(scores).toEqual([...scores].sort((a, b) => a - b)); // never worse
  });

  it('stops at its budget, and keeps the start where nothing helps', async () => {
    let scored = 0;
    const flat = async () => {
      scored += 1;
      return 30;
    };
    const found = await placeTimesteps({ ...RANGE, timesteps: start, nodes: [0, 1, 2], score: flat, budget: 5 });
    expect(found).toEqual({ timesteps: start, psnr: 30 });
    expect(scored).toBe(5);
  });

  it('needs a step that computes the model', async () => {
    const none = { ...RANGE, timesteps: start, nodes: [], score, budget: 5 };
    await expect(placeTimesteps(none)).rejects.toThrow(OptionError);
  });
});
