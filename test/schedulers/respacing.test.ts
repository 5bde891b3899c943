import { alphasCumprod, LINEAR_SCHEDULE } from '../../src/schedulers/noise-schedule.ts';
import { respacedDiffusion } from '../../src/schedulers/respacing.ts';
import { respacedTimesteps } from '../../src/schedulers/timesteps.ts';

describe('respacedDiffusion', () => {
  it('keeps ᾱ of the visited timesteps', () => {
    const table = alphasCumprod(LINEAR_SCHEDULE); // float32
    const timesteps = respacedTimesteps(50, 1000);
    const { alphasCumprod: kept } = respacedDiffusion(LINEAR_SCHEDULE, timesteps);
    timesteps.toReversed().forEach((t, i) => {
      expect(kept[i]! / table[t]!).toBeCloseTo(1, 5);
    });
  });

  it('over all timesteps is the training diffusion', () => {
    const { betas } = respacedDiffusion(LINEAR_SCHEDULE, respacedTimesteps(1000, 1000));
    expect(betas[0]).toBeCloseTo(1e-4, 12);
    expect(betas[500]).toBeCloseTo(1e-4 + (0.0199 * 500) / 999, 12);
    expect(betas[999]).toBeCloseTo(0.02, 12);
  });

  it('takes the scaled betas, too', () => {
    const scaled = {
      numTrainTimesteps: 1000,
      betaStart: 0.00085,
      betaEnd: 0.012,
      betaSchedule: 'scaled_linear',
    } as const;
    const { alphasCumprod: kept } = respacedDiffusion(scaled, [999, 499, 0]);
    const table = alphasCumprod(scaled);
    [0, 499, 999].forEach((t, i) => {
      expect(kept[i]! / table[t]!).toBeCloseTo(1, 5);
    });
  });
});
