import type { WeightDtype } from '../checkpoint/hold.ts';
import type { Numerics } from '../models/dit-config.ts';

/** How a pipeline reads its checkpoint. */
export interface LoadOptions {
  /** Overrides the checkpoint's origin. */
  readonly numerics?: Numerics | undefined;
  /**
   * How kernels and embedding tables are held in memory: bfloat16 and float16 take half as much and change pictures a
   * little; what is computed, tokens and latents above all, is float32 either way. bfloat16 is for the native backend with
   * its fused ops and for webgpu, float16 for webgpu alone. Where the checkpoint is of the type already, its weights stay
   * as they are; of another, they are rounded to the nearest, and to float16 beyond 65,504 become infinite, so that a run
   * ends with a NumericsError. Default: float32, with AMX bfloat16.
   */
  readonly dtype?: WeightDtype | undefined;
}
