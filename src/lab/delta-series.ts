import type { DeltaMeasures, DeltaReading } from './delta-meter.ts';
import { meanOf, stdOf } from './spread.ts';

export type DeltaMeasure = keyof DeltaMeasures;

/** Every measure in a line, for whoever reads the numbers without this code; `DeltaMeasures` says more. */
export const DELTA_MEASURES: Readonly<Record<DeltaMeasure, string>> = {
  norm: '‖Δ‖, L2 norm over tokens and channels',
  relativeNorm: '‖Δ‖ ÷ ‖h_in‖',
  cosine: 'cosine of Δ and the Δ of the step before',
  relativeChange: '‖Δ − Δ of the step before‖ ÷ ‖Δ of the step before‖',
  reuseError: '‖Δ − Δ of the step before‖ ÷ ‖h_out‖: relative error of the tokens if Δ-Cache reused that Δ',
};

/** A number a step, from noise; null where it is undefined for one of the rows, see `DeltaMeasures`. */
export type DeltaSeries = Readonly<Record<DeltaMeasure, readonly (number | null)[]>>;

/** Measured row by row, then summed up over the rows. */
export interface DeltaStatistics {
  readonly mean: DeltaSeries;
  /** Standard deviation of a sample, over n − 1; 0 for a single row. */
  readonly std: DeltaSeries;
}

/** Readings of several runs of the same steps, whatever their batches. */
export class DeltaReadings {
  private readonly bySpan: readonly DeltaReading[][][]; // [span][step], a reading a row

  constructor(
    spans: number,
    private readonly steps: number,
  ) {
    this.bySpan = Array.from({ length: spans }, () => Array.from({ length: steps }, () => []));
  }

  add(reading: DeltaReading): void {
    this.bySpan[reading.span]?.[reading.step]?.push(reading);
  }

  /** Pictures × guidance halves. */
  get rows(): number {
    return this.bySpan[0]?.[0]?.length ?? 0;
  }

  statistics(span: number): DeltaStatistics {
    return { mean: this.series(span, meanOf), std: this.series(span, stdOf) };
  }

  private series(span: number, summary: (values: readonly number[]) => number): DeltaSeries {
    const ofMeasure = (measure: DeltaMeasure) =>
      Array.from({ length: this.steps }, (_, step) => {
        const value = summary((this.bySpan[span]?.[step] ?? []).map((reading) => reading[measure]));
        return Number.isFinite(value) ? value : null;
      });
    return {
      norm: ofMeasure('norm'),
      relativeNorm: ofMeasure('relativeNorm'),
      cosine: ofMeasure('cosine'),
      relativeChange: ofMeasure('relativeChange'),
      reuseError: ofMeasure('reuseError'),
    };
  }
}
