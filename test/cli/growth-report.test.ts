import { type Growth, growthFigure, growthTables } from '../../src/cli/growth-report.ts';
import { allElements, parseXml } from '../support/xml.ts';

const grown = (name: string, xs: readonly number[], slope: number) => ({
  name,
  points: xs.map((x) => [x, slope * x] as const),
});
const GROWTH: Growth = {
  ...{ size: 'demo', batchSize: 1, rounds: 3, command: 'node a --b <c>', environment: 'a machine' },
  tokens: [grown('a block', [64, 256, 1024, 4096], 0.1)],
  batch: [grown('a block of 256 tokens', [1, 2, 4, 8], 20)],
  steps: [grown('uncached', [4, 20, 250], 0.2), grown('Δ-DiT', [4, 20, 250], 0.125)],
};

it('writes a table a quantity, and the command', () => {
  const text = growthTables(GROWTH);
  expect(text).toContain(
    '| steps | uncached, s of sampling | Δ-DiT, s of sampling |\n|---|---|---|\n| 4 | 0.800 | 0.500 |',
  );
  expect(text).toContain('| 4096 | 409.6 |');
  expect(text).toContain('`node a --b <c>`\n\na machine\n');
});

it('draws a point a number, inside the picture', () => {
  const svg = parseXml(growthFigure(GROWTH));
  const circles = allElements(svg).filter(({ name }) => name === 'circle');
  expect(circles).toHaveLength(14);
  const texts = allElements(svg).map(({ text }) => text);
  for (const label of ['Tokens', 'sampling steps', 'Δ-DiT', '4096', 'node a --b <c>']) expect(texts).toContain(label);
  for (const { attributes } of circles) expect(Number(attributes.cx)).toBeLessThan(400);
});
