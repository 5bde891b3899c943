import { checkOrder, checkPast } from './checks.ts';
import { factorial, sumOfDifferences } from './differences.ts';
import type { LinearPredictor } from './predictor.ts';

/**
 * TaylorSeer (arXiv 2503.06923, §3; `taylor_formula` of github.com/Shenyi-Z/TaylorSeer): ŷ = Σⱼ Dⱼ·xʲ/j!, x the steps
 * since the last computed one, Dⱼ its finite differences (`differenceTable`). Every computed step adds an order, up to
 * `order`. Order 1 is linear extrapolation.
 *
 * Exact on polynomials of degree 0 and 1 only: a backward difference stands for the derivative, where Newton's form
 * has a product of distances for xʲ.
 * @param order O, 0 to 5; the authors' recipes take 1 to 4
 * @throws OptionError for another order.
 */
export function taylor(order: number): LinearPredictor {
  const name = `taylor:${order}`;
  checkOrder('taylor', order, 0, 5);
  const history = order + 1;
  return {
    name,
    history,
    weights(past, at) {
      checkPast(name, past, at, history);
      const x = at - (past[0] ?? at);
      return sumOfDifferences(past, (j) => x ** j / factorial(j));
    },
  };
}
