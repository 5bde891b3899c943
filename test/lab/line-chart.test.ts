import { lineChart } from '../../src/lab/line-chart.ts';
import { allElements, parseXml } from '../support/xml.ts';

const chart = (lines: Parameters<typeof lineChart>[0]['lines']) =>
  allElements(parseXml(lineChart({ title: 'T', xTitle: 'x', yTitle: 'y', lines })));
const circlesOf = (elements: ReturnType<typeof chart>) =>
  elements.filter(({ name }) => name === 'circle').map(({ attributes: { cx, cy } }) => [Number(cx), Number(cy)]);

it('puts equal ratios at equal distances, larger numbers higher, and names its marks', () => {
  const elements = chart([
    {
      name: 'one',
      points: [
        [1, 1],
        [10, 10],
        [100, 100],
      ],
    },
  ]);
  const [[x0, y0], [x1, y1], [x2, y2]] = circlesOf(elements) as [number, number][] as [
    [number, number],
    [number, number],
    [number, number],
  ];
  expect([x2 - x1, y2 - y1]).toEqual([x1 - x0, y1 - y0]);
  expect([x1 > x0, y1 < y0]).toEqual([true, true]);
  const texts = elements.filter(({ name }) => name === 'text').map(({ text }) => text);
  expect(texts).toEqual(['T', 'y', '1', '10', '100', '1', '10', '100', 'x', 'one']);
});

it('holds no number that is none where there is one point', () => {
  const elements = chart([
    { name: 'a', points: [[4, 0.02]] },
    { name: 'b', points: [[4, 0.3]] },
  ]);
  expect(circlesOf(elements).flat().every(Number.isFinite)).toBe(true);
});
