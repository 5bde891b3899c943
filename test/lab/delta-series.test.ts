import type { DeltaReading } from '../../src/lab/delta-meter.ts';
import { DELTA_MEASURES, DeltaReadings } from '../../src/lab/delta-series.ts';

const reading = (span: number, step: number, row: number, norm: number, cosine = Number.NaN): DeltaReading => ({
  ...{ span, step, row, norm, cosine },
  ...{ relativeNorm: norm / 10, relativeChange: Number.NaN, reuseError: Number.NaN },
});

describe('DeltaReadings', () => {
  it('has the mean and the standard deviation over rows of all batches, a number a step', () => {
    const readings = new DeltaReadings(2, 2);
    // a batch of two rows, then one of a single row
    for (const [row, norm] of [2, 4].entries()) readings.add(reading(1, 0, row, norm));
    for (const [row, norm] of [1, 5].entries()) readings.add(reading(1, 1, row, norm, row));
    readings.add(reading(1, 0, 0, 9));
    readings.add(reading(1, 1, 0, 3, 0.5));
    const { mean, std } = readings.statistics(1);
    expect(mean.norm).toEqual([5, 3]);
    expect(std.norm).toEqual([Math.sqrt(13), 2]);
    expect(mean.relativeNorm[0]).toBeCloseTo(0.5, 12);
    expect([mean.cosine, std.cosine]).toEqual([
      [null, 0.5],
      [null, 0.5],
    ]);
    expect(Object.keys(mean)).toEqual(Object.keys(DELTA_MEASURES));
  });

  it('says null where one row is undefined, and counts the rows', () => {
    const readings = new DeltaReadings(1, 1);
    readings.add(reading(0, 0, 0, 1, 0.5));
    readings.add(reading(0, 0, 1, 1));
    expect(readings.statistics(0).mean.cosine).toEqual([null]);
    expect(readings.rows).toBe(2);
  });

  it('has no spread over a single row, and nothing of no row', () => {
    const readings = new DeltaReadings(2, 1);
    readings.add(reading(0, 0, 0, 7));
    expect(readings.statistics(0)).toMatchObject({ mean: { norm: [7] }, std: { norm: [0] } });
    expect(readings.statistics(1).mean.norm).toEqual([null]);
  });
});
