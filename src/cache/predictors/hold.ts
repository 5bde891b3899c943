import { checkPast } from './checks.ts';
import type { LinearPredictor } from './predictor.ts';

/**
 * ŷ = y₁, what the last computed step gave: Δ-DiT (arXiv 2406.01125, §3), FORA (arXiv 2407.01425) and every method that
 * reuses.
 */
export function hold(): LinearPredictor {
  return {
    name: 'hold',
    history: 1,
    weights(past, at) {
      checkPast('hold', past, at, 1);
      return [1];
    },
  };
}
