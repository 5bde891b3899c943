/** Adds up what each row has changed since it was last computed. */
export class AccumulatedChange {
  private sums: readonly number[] = [];

  constructor(private readonly threshold: number) {}

  /**
   * Which rows are reused: those whose sum stays below the threshold. The sum of the others starts anew.
   * @param changes of this step; empty where none were read, and all rows are computed
   */
  reuse(changes: readonly number[], rowCount: number): boolean[] {
    const sums = changes.map((change, row) => (this.sums[row] ?? 0) + change);
    const reuse = Array.from(
      { length: rowCount },
      (_, row) => (sums[row] ?? Number.POSITIVE_INFINITY) < this.threshold,
    );
    this.sums = reuse.map((reused, row) => (reused ? (sums[row] ?? 0) : 0));
    return reuse;
  }
}
