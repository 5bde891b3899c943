import { ShapeError } from './errors.ts';

/** A shape, outermost dimension first; `null` in an expectation matches any size. */
export type Shape = readonly number[];

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

export function elementCount(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** @throws ShapeError when `got` is not `expected`; `null` dimensions of `expected` match any size. */
export function assertShape(where: string, got: Shape, expected: readonly (number | null)[]): void {
  const fits = got.length === expected.length && expected.every((size, i) => size === null || size === got[i]);
  if (!fits) {
    const wanted = expected.map((size) => size ?? 'any').join(', ');
    throw new ShapeError(`${where}: expected [${wanted}], got [${got.join(', ')}]`);
  }
}
