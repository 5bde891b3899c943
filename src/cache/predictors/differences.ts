/**
 * TaylorSeer's finite differences as combinations of snapshots (arXiv 2503.06923; `derivative_approximation` of its
 * code): D₀ = y and, at the i-th computed step, Dⱼ₊₁ = (Dⱼ − Dⱼ of the computed step before)/(the gap between the two).
 * At even gaps these are the backward differences over gapʲ; at uneven ones they are not divided differences, which
 * would divide by a longer distance at each order.
 * @param past steps of the snapshots, newest first
 * @returns D₀, D₁ … at the newest, one for each snapshot there is; of each the share of every snapshot
 */
export function differenceTable(past: readonly number[]): readonly (readonly number[])[] {
  let order = past.map((_, index) => past.map((_, other): number => (other === index ? 1 : 0)));
  const atNewest: (readonly number[])[] = [];
  for (let [newest] = order; newest !== undefined; [newest] = order) {
    atNewest.push(newest);
    order = order.slice(1).map((older, index) => {
      const gap = (past[index] ?? 0) - (past[index + 1] ?? 0);
      return older.map((share, i) => ((order[index]?.[i] ?? 0) - share) / gap);
    });
  }
  return atNewest;
}

/** Σⱼ factorⱼ·Dⱼ: the weight of each snapshot. */
export function sumOfDifferences(past: readonly number[], factor: (order: number) => number): number[] {
  const table = differenceTable(past);
  return past.map((_, index) => table.reduce((sum, shares, order) => sum + factor(order) * (shares[index] ?? 0), 0));
}

/** j! */
export function factorial(j: number): number {
  return j < 2 ? 1 : j * factorial(j - 1);
}
