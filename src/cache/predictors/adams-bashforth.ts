import { checkOrder, checkPast } from './checks.ts';
import type { LinearPredictor } from './predictor.ts';

/**
 * AB-Cache (arXiv 2504.10540): what the Adams–Bashforth rule of order k makes of the last k outputs,
 * ŷ = Σᵢ (−1)ⁱ⁺¹·C(k,i)·yᵢ, i = 1…k: y₁, 2y₁ − y₂, 3y₁ − 3y₂ + y₃, … with an error of O(hᵏ). Its code has k = 2, and
 * 5y₁ − 10y₂ + 10y₃ − 5y₄ + y₅.
 *
 * The weights know no gaps: it is the polynomial through k outputs continued by one of their own distances, exact up to
 * degree k − 1 only where the steps are even and the step predicted is the next of them.
 * @param order k, the number of outputs, 1 to 5; 1 holds
 * @throws OptionError for another order.
 */
export function adamsBashforth(order: number): LinearPredictor {
  const name = `adams-bashforth:${order}`;
  checkOrder('adams-bashforth', order, 1, 5);
  return {
    name,
    history: order,
    weights(past, at) {
      checkPast(name, past, at, order);
      const weights: number[] = [];
      let binomial = 1;
      for (let i = 1; i <= past.length; i++) {
        binomial *= (past.length - i + 1) / i;
        weights.push(i % 2 === 1 ? binomial : -binomial);
      }
      return weights;
    },
  };
}
