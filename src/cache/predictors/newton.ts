import { checkOrder, checkPast } from './checks.ts';
import type { LinearPredictor } from './predictor.ts';

/**
 * The polynomial through the last `order` + 1 computed steps, continued: Newton's form with divided differences,
 * ŷ = Σⱼ y[s₁…sⱼ₊₁]·Πᵢ≤ⱼ(x − sᵢ). The weights are Lagrange's form of the same polynomial. Exact on polynomials up to
 * degree `order` at any spacing, where TaylorSeer's differences are so up to degree 1 only.
 * @param order 0 to 5; 0 holds
 * @throws OptionError for another order.
 */
export function newton(order: number): LinearPredictor {
  const name = `newton:${order}`;
  checkOrder('newton', order, 0, 5);
  const history = order + 1;
  return {
    name,
    history,
    weights(past, at) {
      checkPast(name, past, at, history);
      return past.map((step) =>
        past.reduce((product, other) => (other === step ? product : (product * (at - other)) / (step - other)), 1),
      );
    },
  };
}
