import type { WeightDtype } from '../checkpoint/hold.ts';
import type { Numerics } from '../models/dit-config.ts';

/** How a pipeline reads its checkpoint. */
export interface LoadOptions {
  /** Overrides the checkpoint's origin. */
  readonly numerics?: Numerics | undefined;
  /**
   * How kernels and embedding tables are held in memory: bfloat16 takes half as much and changes pictures a little; what
   * is computed, tokens and latents above all, is float32 either way. For the native backend with its fused ops and for
   * webgpu; where the checkpoint is of another type, its weights are rounded. Default: float32, with AMX bfloat16.
   */
  readonly dtype?: WeightDtype | undefined;
}
