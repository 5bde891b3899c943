import { countBlocks } from '../../src/cache/plan.ts';
import { AbortError, OptionError } from '../../src/errors.ts';
import { samplingOf } from '../../src/lab/lab-method.ts';
import { type TuneOptions, tune } from '../../src/lab/tune.ts';
import { tuneCandidates } from '../../src/lab/tune-candidates.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { classPainter, type Painter } from '../../src/pipelines/painter.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

let pipe: DiTPipeline;
let painter: Painter;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
  painter = classPainter(pipe);
});
afterAll(() => pipe.dispose());

describe('candidates', () => {
  it.each([5, 8, 13.3])('cost at most %d evaluations of the model', (evaluations) => {
    const candidates = tuneCandidates(evaluations, { depth: 3 });
    expect(candidates.length).toBeGreaterThan(10);
    for (const method of candidates) {
      const { computed } = countBlocks(pipe.plan(samplingOf(method))!);
      expect(computed / 3).toBeLessThanOrEqual(evaluations);
    }
  });

  it('are none where nothing is left to compute', () => {
    expect(tuneCandidates(0.5, { depth: 3 })).toEqual([]);
  });
});

describe('tune', () => {
  const quick = (options: Partial<TuneOptions> = {}) =>
    tune(painter, { goal: { targetSpeedup: 1.01 }, samples: 1, heldOut: 2, placements: 3, ...options });

  it('finds a way that held-out pictures confirm, best first, and leaks nothing', async () => {
    await expectNoLeak(async () => {
      const progress: number[] = [];
      const { best, tried } = await quick({ goal: { minPsnr: 5 }, onProgress: ({ done }) => progress.push(done) });
      expect(best.psnr).toBeGreaterThanOrEqual(5);
      expect(best.speedup).toBeGreaterThan(0);
      expect(best.pictures).toBe(2);
      expect(tried.map(({ psnr }) => psnr)).toEqual(tried.map(({ psnr }) => psnr).sort((a, b) => b - a));
      expect(progress).toEqual([...progress].sort((a, b) => a - b));
      expect(progress.at(-1)).toBeLessThanOrEqual(1);
      expect(pipe.plan(samplingOf(best.method))).not.toBeNull();
    });
  });

  it('says what came nearest to a goal that nobody can meet', async () => {
    await expectCleanFailure(
      () => quick({ goal: { minPsnr: 400 }, placements: 0 }),
      OptionError,
      /nothing that was tried is 400 dB on held-out pictures \(nearest: .+ at \d+\.\d dB\); ask for less/,
    );
    await expectCleanFailure(
      () => quick({ goal: { targetSpeedup: 50 } }),
      OptionError,
      /50× leaves no step to compute/,
    );
  });

  it('refuses what cannot be tuned, and stops when told', async () => {
    for (const goal of [{ targetSpeedup: 0 }, { minPsnr: Number.NaN }])
      await expectCleanFailure(() => quick({ goal }), OptionError, /expected a positive goal/);
    await expectCleanFailure(() => quick({ samples: 0 }), OptionError, /^samples: /);
    const controller = new AbortController();
    controller.abort();
    await expectCleanFailure(() => quick({ signal: controller.signal }), AbortError, /stopped/);
  });
});
