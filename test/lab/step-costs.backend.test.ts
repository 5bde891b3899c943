import { fora } from '../../src/cache/policies/fora.ts';
import { forecast } from '../../src/cache/policies/forecast.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import { cached, samplingOf, uncached } from '../../src/lab/lab-method.ts';
import { measureStepCosts, StepCosts } from '../../src/lab/step-costs.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classPainter } from '../../src/pipelines/painter.ts';
import { expectNoLeak } from '../support/memory.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

let pipe: DiTPipeline;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
});
afterAll(() => pipe.dispose());

const planOf = (method: ReturnType<typeof uncached>) => pipe.plan(samplingOf(method))!;

it('adds up what steps compute, predict and store', () => {
  const costs = new StepCosts(
    {
      full: new Map([
        ['ddim', 10],
        ['deis', 11],
      ]),
      skipped: new Map([['deis', 2]]),
      ...{ spanReused: 4, spanStored: 0.5 },
      branchReused: new Map([
        ['self', 8],
        ['mlp', 7],
      ]),
      branchStored: new Map([
        ['self', 0.3],
        ['mlp', 0.6],
      ]),
    },
    'ddim',
  );
  const seconds = (method: ReturnType<typeof uncached>) => costs.secondsOf(method.sampler, planOf(method));
  expect(seconds(uncached('deis', 6))).toBeCloseTo(66, 10);
  // of 7 steps 0, 2, 4, 6 are full
  expect(seconds(cached(forecast({ interval: 2 }), 'deis', 7))).toBeCloseTo(4 * 11 + 3 * 2, 10);
  // of 3 blocks 2 are skipped at 3 steps: 2/3 of 10 − 4; three full steps store the span for later ones
  const front = deltaCache({ region: 'front', cachedBlocks: 2, interval: 2 });
  expect(seconds(cached(front, 'deis', 7))).toBeCloseTo(7 * 11 - 3 * 4 + 3 * 0.5, 10);
  expect(costs.savedPerBlock(3)).toBeCloseTo(2, 10);
  // the MLPs of all blocks: 10 − 7 less at 3 steps, 0.6 more at the 3 that store
  const mlps = fora({ interval: 2, branches: ['mlp'] });
  expect(seconds(cached(mlps, 'deis', 7))).toBeCloseTo(7 * 11 - 3 * 3 + 3 * 0.6, 10);
  expect(() => costs.secondsOf('unipc', planOf(uncached('unipc', 3)))).toThrow(RangeError);
});

it('measures steps of every kind, and leaks nothing', async () => {
  await expectNoLeak(async () => {
    const runs: string[] = [];
    const costs = await measureStepCosts(classPainter(pipe), {
      ...{ subject: '1', samplers: ['deis', 'ddim'] },
      onRun: ({ name }) => runs.push(name),
    });
    expect(runs).toHaveLength(3 * (2 + 2 + 1 + 2));
    for (const sampler of ['deis', 'ddim'] as const) {
      expect(costs.full(sampler)).toBeGreaterThan(0);
      const skipping = costs.secondsOf(sampler, planOf(cached(forecast({ interval: 2 }), sampler, 9)));
      expect(skipping).toBeGreaterThan(0);
      expect(skipping).toBeLessThan(9 * costs.full(sampler)); // a predicted step runs no block
    }
  });
});
