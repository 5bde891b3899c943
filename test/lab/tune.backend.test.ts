import { AbortError, OptionError } from '../../src/errors.ts';
import { samplingOf } from '../../src/lab/lab-method.ts';
import { type TuneOptions, tune } from '../../src/lab/tune.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classPainter, type Painter } from '../../src/pipelines/painter.ts';
import { expectCleanFailure } from '../support/memory.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

let pipe: DiTPipeline;
let painter: Painter;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
  painter = classPainter(pipe);
});
afterAll(() => pipe.dispose());

describe('tune', () => {
  const quick = (options: Partial<TuneOptions> = {}) =>
    tune(painter, {
      goal: { targetSpeedup: 3 },
      referenceSteps: 30,
      samples: 1,
      heldOut: 2,
      placements: 3,
      ...options,
    });

  it('finds a way that held-out pictures confirm, nearest first', async () => {
    const progress: number[] = [];
    const { best, nearest, tried } = await quick({ onProgress: ({ done }) => progress.push(done) });
    expect(nearest).toBe(best ?? nearest);
    expect([nearest.speedup, nearest.pictures]).toEqual([nearest.speedups.median, 2]);
    const decibels = tried.map(({ psnr }) => psnr);
    expect(decibels).toEqual(decibels.toSorted((a, b) => b - a));
    expect(tried.some(({ method }) => method.name.endsWith(', placed') && method.timesteps)).toBe(true);
    expect(Math.max(...progress)).toBeLessThanOrEqual(1);
    for (const { method } of tried) expect(pipe.plan(samplingOf(method))).not.toBeNull();
  }, 600_000); // some hundred pictures

  it('leaks nothing when it is stopped in the middle', async () => {
    const stopped = () => {
      const controller = new AbortController();
      let reports = 0;
      const onProgress = () => {
        reports += 1;
        if (reports === 5) controller.abort();
      };
      return quick({ signal: controller.signal, onProgress });
    };
    await expectCleanFailure(stopped, AbortError, /stopped/);
  });

  it('refuses what cannot be tuned, and stops when told', async () => {
    for (const goal of [{ targetSpeedup: 0 }, { minPsnr: Number.NaN }])
      await expectCleanFailure(() => quick({ goal }), OptionError, /expected a positive goal/);
    await expectCleanFailure(() => quick({ samples: 0 }), OptionError, /^samples: /);
    await expectCleanFailure(() => quick({ referenceSteps: 20 }), OptionError, /^referenceSteps: /);
    const controller = new AbortController();
    controller.abort();
    await expectCleanFailure(() => quick({ signal: controller.signal }), AbortError, /stopped/);
  });
});
