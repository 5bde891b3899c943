import { OptionError } from '../../errors.ts';
import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import { planReuse } from '../reuse-table.ts';
import { checkWhole, defaultCachedBlocks, spanSites } from '../stage-planner.ts';

export interface FasterDiffusionOptions {
  /** Steps that compute the encoder, 0… from noise; step 0 always does. Default: the authors', see below. */
  readonly keySteps?: readonly number[];
  /** Instead of `keySteps`: every N-th step, an integer `mod` of the authors' code. */
  readonly interval?: number;
  /** I: the first blocks, which stand for the encoder. Default ¾ of the depth, 6/28 of it for at most 8 steps. */
  readonly cachedBlocks?: number;
}

/** `register_faster_forward` of utils_sd.py: its default list of 50 steps ('50ls'), and '75ls' and '100ls'. */
const KEY_STEPS: ReadonlyMap<number, (step: number) => boolean> = new Map([
  [50, (step: number) => [0, 1, 2, 3, 5, 10, 15, 25, 35].includes(step)],
  [75, (step: number) => step > 65 || step < 10 || step % 5 === 0],
  [100, (step: number) => step > 85 || step < 10 || step % 5 === 0],
]);
/** For other numbers of steps: `mod = 4` of the authors' custom_demo.py. */
const INTERVAL = 4;

/**
 * Faster Diffusion (arXiv 2312.09608; github.com/hutaiHang/Faster-Diffusion): the encoder is computed at key steps, and
 * its output held at the others. That code has U-Nets only; what the encoder of a DiT is follows Δ-DiT's comparison
 * (arXiv 2406.01125, Tables 2 to 4): its first I blocks, I = 21 or 14 of 28. Left out are the parallel decoders, which
 * change no result, and the noise that the authors add to late latents, which is no cache.
 * @throws OptionError when both `keySteps` and `interval` are given
 */
export function fasterDiffusion(options: FasterDiffusionOptions = {}): StaticPolicy {
  const { keySteps, interval } = options;
  if (keySteps && interval !== undefined)
    throw new OptionError('keySteps and interval: expected one of the two, got both');
  return {
    name: 'faster-diffusion',
    plan: (setting: PlanSetting) => {
      const { numInferenceSteps, depth } = setting;
      const count = options.cachedBlocks ?? defaultCachedBlocks(numInferenceSteps, depth);
      checkWhole('cachedBlocks', count, 0, depth, "the model's blocks");
      const isKey = keyStepsOf(options, numInferenceSteps);
      const front = spanSites({ first: 0, count });
      return planReuse({ ...setting, keeps: 'output', reuseAt: (step) => (step === 0 || isKey(step) ? [] : front) });
    },
  };
}

function keyStepsOf(
  { keySteps, interval }: FasterDiffusionOptions,
  numInferenceSteps: number,
): (step: number) => boolean {
  for (const step of keySteps ?? []) checkWhole('keySteps', step, 0, numInferenceSteps - 1, 'a step, from noise');
  if (interval !== undefined) checkWhole('interval', interval, 1, numInferenceSteps, 'the number of steps');
  if (keySteps) return (step) => keySteps.includes(step);
  const named = interval === undefined ? KEY_STEPS.get(numInferenceSteps) : undefined;
  return named ?? ((step) => step % (interval ?? INTERVAL) === 0);
}
