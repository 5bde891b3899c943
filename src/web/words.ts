/** Seconds for people. */
export function seconds(value: number): string {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(2)} s`;
  if (value < 90) return `${value.toFixed(1)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

/** Seconds that are left, which are a guess. */
export function secondsLeft(value: number): string {
  if (value < 1) return 'less than a second left';
  if (value < 90) return `about ${Math.ceil(value)} s left`;
  return `about ${Math.ceil(value / 60)} min left`;
}

export function times(value: number): string {
  return `${value.toFixed(2)}×`;
}

export function decibels(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(1)} dB` : 'the pictures are equal';
}
