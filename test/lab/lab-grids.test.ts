import { isStatic } from '../../src/cache/policy.ts';
import { OptionError } from '../../src/errors.ts';
import { type GridName, labGrid } from '../../src/lab/lab-grids.ts';

const SETTING = { numInferenceSteps: 20, depth: 28, sampler: 'ddim' } as const;
const names = (...grids: GridName[]) => labGrid(grids, SETTING).methods.map(({ name }) => name);

it('sets the regions, the feature cache, Δ-DiT and fewer steps side by side, as the paper does', () => {
  expect(names('paper')).toEqual([
    'ddim, 250 steps',
    'ddim, 20 steps',
    ...['front', 'middle', 'rear'].map((region) => `delta-cache-${region}, ddim, 20 steps`),
    ...['front', 'rear'].map((region) => `feature-cache-${region}, ddim, 20 steps`),
    'delta-dit, ddim, 20 steps',
    'faster-diffusion N=2, ddim, 20 steps',
    'ddim, 13 steps',
    'ddim, 12 steps',
  ]);
});

it('sweeps b and N_c', () => {
  const swept = names('sweep').filter((name) => name.startsWith('delta-dit'));
  expect(swept.map((name) => name.split(' ')[1])).toEqual([
    ...['b=0,', 'b=4,', 'b=8,', 'b=12,', 'b=16,', 'b=20,'],
    ...['N_c=7,', 'N_c=14,', 'N_c=18,', 'N_c=21,', 'N_c=25,', 'N_c=28,'],
  ]);
});

it('has both N_c of Table 3 for few steps, and judges LCM by its own sampler', () => {
  const grid = labGrid(['paper'], { numInferenceSteps: 4, depth: 28, sampler: 'lcm' });
  const swept = grid.methods.map(({ name }) => name).filter((name) => name.includes('N_c'));
  expect(swept).toEqual(['delta-dit N_c=4, lcm, 4 steps', 'delta-dit N_c=6, lcm, 4 steps']);
  expect([grid.baseline.name, grid.converged.name]).toEqual(['lcm, 4 steps', 'lcm, 8 steps']);
});

it('has each method once, however many grids name it', () => {
  const all = names('paper', 'sweep', 'frontier', 'methods');
  expect(new Set(all).size).toBe(all.length);
  expect(all.filter((name) => name.startsWith('forecast')).length).toBeGreaterThan(10);
  expect(new Set(labGrid(['methods'], SETTING).methods.map(({ cache }) => cache?.name)).size).toBeGreaterThan(15);
});

it('takes its baseline and its reference from the setting', () => {
  const { baseline, converged } = labGrid(['paper'], { ...SETTING, sampler: 'deis', referenceSteps: 100 });
  expect([baseline.name, converged.name]).toEqual(['ddim, 20 steps', 'ddim, 100 steps']);
  expect(() => labGrid(['paper'], { ...SETTING, referenceSteps: 20 })).toThrow(OptionError);
  expect(() => labGrid(['all' as GridName], SETTING)).toThrow(/expected paper, sweep, frontier, methods, deltas/);
});

it('predicts residuals of every region and branch, the last step being full', () => {
  const setting = { ...SETTING, branches: ['self', 'mlp'] as const, timesteps: [] };
  const caches = labGrid(['deltas'], SETTING).methods.filter(({ cache }) => cache);
  expect(caches.length).toBe(2 * 5 * 6 + 2 * 2 * 6);
  for (const { cache, numInferenceSteps } of caches) {
    if (!cache || !isStatic(cache)) throw new Error('a plan was expected');
    const { steps } = cache.plan({ ...setting, numInferenceSteps });
    expect(steps.at(-1)!.reuse).toEqual([]);
    expect(steps.some(({ reuse }) => reuse.length > 0)).toBe(true);
  }
  expect([...new Set(caches.map(({ numInferenceSteps }) => numInferenceSteps))]).toEqual([21, 19, 41, 97]);
});

it('adds methods of one’s own', () => {
  const own = { name: 'mine', family: 'deis', sampler: 'deis', numInferenceSteps: 7 } as const;
  expect(labGrid([], SETTING, [own]).methods.map(({ name }) => name)).toEqual([
    'ddim, 250 steps',
    'ddim, 20 steps',
    'mine',
  ]);
});
