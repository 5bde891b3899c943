import { OptionError } from '../../errors.ts';
import { checkOrder, checkPast } from './checks.ts';
import { factorial, sumOfDifferences } from './differences.ts';
import type { LinearPredictor } from './predictor.ts';

/** σ of HiCache's experiments, `hicache_scale_factor`. */
export const HERMITE_SCALE = 0.5;

/**
 * HiCache (arXiv 2508.16984; `_hicache_prediction_formula` of its code, github.com/yiming-l21/CFGCache):
 * ŷ = y₁ + Σⱼ≥₁ σʲ·Hⱼ(σx)·Dⱼ/j!, x the steps since the last computed one, Dⱼ TaylorSeer's finite differences
 * (`differenceTable`), Hⱼ the physicists' Hermite polynomials. σ scales twice, the argument and the term.
 *
 * Exact on constants only: its first term is 2σ²·x·D₁, which is x·D₁ at σ = √½ and half of it at 0.5, and H₂(0) = −2
 * moves the prediction away from the curve where it bends.
 * @param order 0 to 5; the authors' recipes take 1 and 2
 * @param scale σ, above 0 and at most 1
 * @throws OptionError for others.
 */
export function hermite(order: number, scale: number = HERMITE_SCALE): LinearPredictor {
  const name = scale === HERMITE_SCALE ? `hermite:${order}` : `hermite:${order}:${scale}`;
  checkOrder('hermite', order, 0, 5);
  if (!(scale > 0 && scale <= 1)) {
    throw new OptionError(`predictor hermite: expected a scale σ above 0 and at most 1, got ${scale}`);
  }
  const history = order + 1;
  return {
    name,
    history,
    weights(past, at) {
      checkPast(name, past, at, history);
      const x = scale * (at - (past[0] ?? at));
      return sumOfDifferences(past, (j) => (scale ** j * hermitePolynomial(j, x)) / factorial(j));
    },
  };
}

/** Hₙ(x) of the physicists: H₀ = 1, H₁ = 2x, Hₙ = 2x·Hₙ₋₁ − 2(n − 1)·Hₙ₋₂. */
function hermitePolynomial(n: number, x: number): number {
  if (n === 0) return 1;
  if (n === 1) return 2 * x;
  return 2 * x * hermitePolynomial(n - 1, x) - 2 * (n - 1) * hermitePolynomial(n - 2, x);
}
