import * as tf from '@tensorflow/tfjs-core';
import { adaptiveDelta } from '../../../src/cache/policies/adaptive-delta.ts';
import { replay, wave } from '../../support/fake-model.ts';
import { expectNoLeak } from '../../support/memory.ts';

/** The steps that compute block 0, whose self-attention adds `added(step)` to every token. */
async function computedSteps(
  options: Parameters<typeof adaptiveDelta>[0],
  steps: number,
  added: (step: number) => number,
  depth = 3,
) {
  const { evaluated } = await expectNoLeak(() =>
    replay({
      policy: adaptiveDelta({ cachedBlocks: 1, ...options }),
      ...{ steps, depth },
      at: () => ({ tokens: wave(0), gate: 1 }),
      raw: (x, block, branch, step) => tf.fill(x.shape, block === 0 && branch === 'self' ? added(step) : 0),
    }),
  );
  return evaluated.flatMap((blocks, step) => (blocks.includes(0) ? [step] : []));
}

const linear = (step: number) => 1 + 0.1 * step;
const square = (step: number) => 1 + 0.01 * step ** 2;

/** The numbers come from the formula by hand: the next ⌊g·(tolerance ÷ e)^(1/p)⌋ steps are predicted. */
describe('the interval follows the error', () => {
  it('of a held residual that grows: by its first power', async () => {
    const hold = { name: 'hold' } as const;
    // e: 0.1/1.1, 0.3/1.4, 0.3/1.7, 0.4/2.1, then the last step
    expect(await computedSteps({ tolerance: 0.21, predictor: hold }, 13, linear)).toEqual([0, 1, 4, 7, 11, 12]);
  });

  it('of a line through a line, which errs by nothing: up to maxInterval', async () => {
    expect(await computedSteps({ tolerance: 0.21 }, 20, linear)).toEqual([0, 1, 4, 10, 16, 19]);
    expect(await computedSteps({ tolerance: 0.21, maxInterval: 4 }, 13, linear)).toEqual([0, 1, 4, 8, 12]);
  });

  it('of a line through a parabola: by its second power', async () => {
    // e: 0.01/1.01 by holding, 0.42/1.49, 0.27/2, 0.10/2.44, 0.15/3.25
    expect(await computedSteps({ tolerance: 0.05 }, 18, square)).toEqual([0, 1, 7, 10, 12, 15, 17]);
  });
});

it('computes every step without tolerance, and where the interval is one step', async () => {
  const all = Array.from({ length: 8 }, (_, step) => step);
  expect(await computedSteps({ tolerance: 0 }, 8, linear)).toEqual(all);
  expect(await computedSteps({ maxInterval: 1 }, 8, linear)).toEqual(all);
  expect(await computedSteps({ tolerance: 0.2, cachedBlocks: 0 }, 8, linear)).toEqual(all);
});

it('computes where the residual is no number', async () => {
  expect(await computedSteps({}, 6, () => Number.NaN)).toEqual([0, 1, 2, 3, 4, 5]);
});

it('tells of each row what its prediction was off by', async () => {
  const { counts } = await replay({
    policy: adaptiveDelta({ tolerance: 0.21, predictor: { name: 'hold' }, cachedBlocks: 1 }),
    steps: 4,
    rows: [0, 1],
    at: (_, row) => ({ tokens: wave(0), gate: 1 + row }),
    raw: (x, block, branch, step) => tf.fill(x.shape, block === 0 && branch === 'self' ? linear(step) : 0),
  });
  expect(counts.signals?.map((rows) => rows.map((error) => error.toFixed(4)))).toEqual([
    ['0.0000', '0.0000'],
    ['0.0909', '0.0909'],
    ['0.0000', '0.0000'],
    ['0.1538', '0.1538'],
  ]);
});

it.each(['front', 'middle', 'rear'] as const)('skips the blocks of the %s', async (region) => {
  const { evaluated } = await replay({
    policy: adaptiveDelta({ region, tolerance: 10, cachedBlocks: 1 }),
    steps: 4,
    at: () => ({ tokens: wave(0), gate: 1 }),
  });
  const skipped = { front: 0, middle: 1, rear: 2 }[region];
  expect(evaluated[2]).toEqual([0, 1, 2].filter((block) => block !== skipped));
  expect(evaluated[3]).toEqual([0, 1, 2]);
});

describe('two rows, of which the second changes ten times as fast', () => {
  const stepBlocks = async (guidanceScale: number) => {
    const { counts } = await replay({
      policy: adaptiveDelta({ tolerance: 0.21, predictor: { name: 'hold' }, cachedBlocks: 1 }),
      ...{ steps: 6, rows: [0, 1], guidanceScale },
      at: (step, row) => ({ tokens: wave(0), gate: 1 + (row === 0 ? 0.1 : 1) * step }),
      raw: (x, block, branch) => tf.fill(x.shape, block === 0 && branch === 'self' ? 1 : 0),
    });
    return counts.stepBlocks;
  };

  it('decide by themselves where they are two samples', async () => {
    expect(await stepBlocks(1)).toEqual([3, 3, 2.5, 2.5, 3, 3]);
  });

  it('decide together, by the greater error, where they are the guidance halves of one', async () => {
    expect(await stepBlocks(3)).toEqual([3, 3, 3, 3, 3, 3]);
  });
});
