import { decisionWarnings } from '../../src/pipelines/warnings.ts';

const sampler = { timesteps: [900, 700, 500, 300, 100] };
const run = { cache: 'teacache', mayReuse: [1, 2, 3], sampler };
const counts = (...stepBlocks: number[]) => ({
  stepBlocks,
  blocksReused: stepBlocks.reduce((sum, blocks) => sum + 8 - blocks, 0),
});

it('says before a run that a warm-up leaves nothing to decide', () => {
  expect(decisionWarnings({ ...run, mayReuse: [] })).toEqual([
    expect.stringMatching(/^cache teacache: nothing is cached in 5 steps, .*lower warmUpSteps/),
  ]);
  expect(decisionWarnings(run)).toEqual([]);
});

it('says after a run that all decisions fell alike', () => {
  expect(decisionWarnings(run, counts(8, 8, 8, 8, 8))).toEqual([
    expect.stringMatching(/^cache teacache: nothing was cached in 5 steps, .*raise its threshold/),
  ]);
  for (const fewest of [0, 3])
    expect(decisionWarnings(run, counts(8, fewest, fewest, fewest, 8))).toEqual([
      expect.stringMatching(/^cache teacache: all 3 steps that could be cached were, .*lower its threshold/),
    ]);
});

it('is silent of decisions that differ, in time or between rows, and of too few', () => {
  expect(decisionWarnings(run, counts(8, 0, 8, 0, 8))).toEqual([]);
  expect(decisionWarnings(run, counts(8, 0, 4, 0, 8))).toEqual([]);
  expect(decisionWarnings({ ...run, mayReuse: [1, 2] }, counts(8, 0, 0, 8, 8))).toEqual([]);
  expect(decisionWarnings({ ...run, mayReuse: null }, counts(8, 8, 8, 8, 8))).toEqual([]);
});
