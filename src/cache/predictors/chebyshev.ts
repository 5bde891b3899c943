import { OptionError } from '../../errors.ts';
import { checkOrder, checkPast } from './checks.ts';
import { matrix, solve } from './linear-algebra.ts';
import type { LinearPredictor } from './predictor.ts';

export interface ChebyshevOptions {
  /** T: the steps 0 … T are τ = −1 … 1. The authors' code has 50, the number of their steps. */
  readonly steps?: number;
  /** K: how many computed steps are fitted; the authors take all there are, 100 at most. */
  readonly history?: number;
}

/** The authors' constants: `_taus` of `basis_utils.py`, K of `utils/__init__.py`, λ of `configs/algo/spectrum.yaml`. */
const SPECTRUM = { steps: 50, history: 100, ridge: 0.1 };

/**
 * Spectrum (arXiv 2603.01623; github.com/hanjq17/Spectrum at w = 1, its published form): a ridge fit of Chebyshev
 * polynomials T₀…T_M of τ to all computed steps, ŷ = t(τ)ᵀ(XᵀX + λI)⁻¹Xᵀ·Y with the rows t(τᵢ) of X, λ = 0.1. (Not
 * ChebBooster, whose code is not public.)
 *
 * λ draws the coefficients to 0: the weights do not sum to 1, constants are met only nearly, and with fewer than
 * M + 1 snapshots the prediction is small. The authors compute the first 5 steps.
 * @param degree M, 0 to 8; the authors take 4
 * @throws OptionError for another degree, or options out of range.
 */
export function chebyshev(degree: number, options: ChebyshevOptions = {}): LinearPredictor {
  const { steps = SPECTRUM.steps, history = SPECTRUM.history } = options;
  const name = steps === SPECTRUM.steps ? `chebyshev:${degree}` : `chebyshev:${degree}:${steps}`;
  checkOrder('chebyshev', degree, 0, 8);
  if (!(Number.isInteger(steps) && steps >= 1)) {
    throw new OptionError(`predictor chebyshev: expected a whole number of steps, 1 or more, got ${steps}`);
  }
  if (!(Number.isInteger(history) && history >= degree + 2)) {
    throw new OptionError(`predictor chebyshev: expected a history of ${degree + 2}, M + 2, or more, got ${history}`);
  }
  const basis = (step: number) => chebyshevValues((2 * step) / steps - 1, degree);
  return {
    name,
    history,
    weights(past, at) {
      checkPast(name, past, at, history);
      const rows = past.map(basis);
      const normal = matrix(degree + 1, degree + 1, (i, j) =>
        rows.reduce((sum, row) => sum + (row[i] ?? 0) * (row[j] ?? 0), i === j ? SPECTRUM.ridge : 0),
      );
      const solved = solve(normal, basis(at)) ?? []; // positive definite: never singular
      return rows.map((row) => row.reduce((sum, value, i) => sum + value * (solved[i] ?? 0), 0));
    },
  };
}

/** T₀(τ) … T_degree(τ): Tₘ = 2τ·Tₘ₋₁ − Tₘ₋₂. */
function chebyshevValues(tau: number, degree: number): number[] {
  const values = [1, tau];
  for (let m = 2; m <= degree; m++) values.push(2 * tau * (values[m - 1] ?? 0) - (values[m - 2] ?? 0));
  return values.slice(0, degree + 1);
}
