import { checkPast } from './checks.ts';
import type { LinearPredictor } from './predictor.ts';

/**
 * FoCa's BDF2 forecast with Heun's correction (arXiv 2508.16211) as the code of HiCache has it, whose authors are among
 * FoCa's (`taylor_formula_foca`, github.com/yiming-l21/CFGCache): the forecast p = (4y₁ − y₂)/3, then the mean of y₁ and
 * p, ŷ = 7/6·y₁ − 1/6·y₂. Neither gaps nor the distance enter: a hold that leans one sixth of the last change ahead.
 *
 * The paper's equations 7 and 8 add slopes, h·y′, and leave open how they are computed; with the difference of the last
 * two computed steps for both slopes, equation 8 is linear extrapolation, `taylor:1`. cache-dit's port instead takes
 * ŷ = y₁ + h/2·((y₁ − y₂) + (z₁ − z₂)), damped from h = 3 on, without dividing y₁ − y₂ by its gap; z are its two latest values,
 * predictions included, so it remembers across computed steps and no fixed history gives it.
 */
export function foca(): LinearPredictor {
  return {
    name: 'foca',
    history: 2,
    weights(past, at) {
      checkPast('foca', past, at, 2);
      return past.length === 1 ? [1] : [7 / 6, -1 / 6];
    },
  };
}
