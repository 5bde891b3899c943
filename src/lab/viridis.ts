/** Nine equidistant colours of matplotlib's viridis (CC0), dark to light: even to the eye, also to colour-blind ones. */
export const VIRIDIS: readonly string[] = [
  '#440154',
  '#472d7b',
  '#3b528b',
  '#2c728e',
  '#21908c',
  '#27ad81',
  '#5dc863',
  '#aadc32',
  '#fde725',
];

const CHANNELS = VIRIDIS.map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)));

/** @param part 0…1, clamped @returns #rrggbb */
export function viridis(part: number): string {
  const place = Math.min(Math.max(part, 0), 1) * (CHANNELS.length - 1);
  const index = Math.min(Math.floor(place), CHANNELS.length - 2);
  const [low = [], high = []] = [CHANNELS[index], CHANNELS[index + 1]];
  const mixed = low.map((value, i) => Math.round(value + (place - index) * ((high[i] ?? 0) - value)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}
