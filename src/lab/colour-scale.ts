import { viridis } from './viridis.ts';

/** Numbers to colours, and the marks of a colour bar. */
export interface ColourScale {
  /** #rrggbb */
  colour(value: number): string;
  /** `part` is the place in the colour bar, 0…1. */
  readonly marks: readonly { readonly part: number; readonly label: string }[];
}

/** How values spread over the colours; 'near-one': by the logarithm of what is missing to 1, as cosines need. */
export type ScaleKind = 'linear' | 'log' | 'near-one';

/** Nearer to 1 a cosine of float32 sums says nothing. */
const NEAREST = 1e-6;

/** Over the finite ones of `values`; where there is none, nothing is to be coloured, and there are no marks. */
export function colourScale(values: readonly (number | null)[], kind: ScaleKind): ColourScale {
  const finite = values.filter((value): value is number => value !== null && Number.isFinite(value));
  const [min, max] = [smallest(finite), largest(finite)];
  const place = placing(kind === 'log' && min <= 0 ? 'linear' : kind);
  const range = place(max) - place(min);
  const part = (value: number) => (range > 0 ? (place(value) - place(min)) / range : 0.5);
  const marks = finite.length === 0 ? [] : marksOf(kind, min, max);
  return {
    colour: (value) => viridis(part(value)),
    marks: marks.map((value) => ({ part: part(value), label: label(value) })),
  };
}

/** Rising. */
function placing(kind: ScaleKind): (value: number) => number {
  if (kind === 'near-one') return (value) => -Math.log(missing(value));
  return kind === 'log' ? Math.log : (value) => value;
}

function missing(value: number): number {
  return Math.max(1 - value, NEAREST);
}

function marksOf(kind: ScaleKind, min: number, max: number): number[] {
  if (kind === 'near-one' && missing(min) > FEW * missing(max))
    return logMarks(missing(max), missing(min)).map((mark) => 1 - mark);
  return kind === 'log' && min > 0 && max > FEW * min ? logMarks(min, max) : linearMarks(min, max);
}

/** Up to this quotient of their ends, linear marks are enough of a logarithmic scale. */
const FEW = 4;

/** So that a mark at the very end is not lost. */
const ROUNDING = 1e-9;

// reduce, as there may be more values than a call takes arguments
const smallest = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const largest = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);

/** Round numbers, three to six of them; the value itself where there is only one. */
function linearMarks(min: number, max: number): number[] {
  const step = roundStep((max - min) / 3);
  if (!(step > 0)) return [min];
  const first = Math.ceil(min / step - ROUNDING);
  const count = Math.floor(max / step + ROUNDING) - first + 1;
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

/** 1, 2 and 5 of each power of ten; of many powers only every so many. */
function logMarks(min: number, max: number): number[] {
  const powers = Math.log10(max / min);
  const digits = powers > 3 ? [1] : [1, 2, 5];
  const every = Math.ceil(powers / 6);
  const marks: number[] = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    if (power % every === 0) marks.push(...digits.map((digit) => digit * 10 ** power));
  }
  return marks.filter((mark) => mark >= min * (1 - ROUNDING) && mark <= max * (1 + ROUNDING));
}

/** The largest of 1, 2, 5 × a power of ten that is not above `most`. */
function roundStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return (([5, 2, 1] as const).find((digit) => digit * power <= most) ?? 1) * power;
}

/** Six digits at most, so that 0.30000000000000004 is 0.3. */
function label(value: number): string {
  return String(Number(value.toPrecision(6)));
}
