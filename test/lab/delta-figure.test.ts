import type { DeltaAnalysis, SpanDeltas } from '../../src/lab/analyse.ts';
import { deltaFigure } from '../../src/lab/delta-figure.ts';
import type { DeltaSeries } from '../../src/lab/delta-series.ts';
import { svgElement, svgText } from '../../src/lab/svg.ts';
import { allElements, parseXml, type XmlElement } from '../support/xml.ts';

/** An analysis of made-up numbers, different in every cell. */
function analysisOf(steps: number, depth: number, changes: Partial<DeltaAnalysis> = {}): DeltaAnalysis {
  const later = (value: (step: number) => number) =>
    Array.from({ length: steps }, (_, step) => (step === 0 ? null : value(step)));
  const blocks = Array.from({ length: depth }, (_, first): SpanDeltas => {
    const mean: DeltaSeries = {
      norm: Array.from({ length: steps }, (_, step) => 10 ** (first / depth) + step),
      relativeNorm: Array.from({ length: steps }, () => 0.1),
      cosine: later((step) => 1 - (first + step) / 1000),
      relativeChange: later((step) => 0.01 * (first + 1) * step),
      reuseError: later(() => 0.05),
    };
    return { first, count: 1, mean, std: mean };
  });
  return {
    ...{ model: 'folder/tiny', backend: 'cpu', numerics: 'original', sampler: 'ddim', eta: 0, guidanceScale: 4 },
    ...{ subjects: ['1', '2'], subjectKind: 'class', seeds: [0, 0], rows: 4, spans: [], blocks },
    timesteps: Array.from({ length: steps }, (_, step) => 1000 - ((step + 1) * 1000) / steps),
    ...changes,
  };
}

const figure = (analysis: DeltaAnalysis) => parseXml(deltaFigure(analysis));
const cellsOf = (svg: XmlElement) =>
  allElements(svg)
    .filter(({ attributes }) => attributes.class === 'cells')
    .map(({ children }) => children);
const textsOf = (svg: XmlElement) =>
  allElements(svg)
    .filter(({ name }) => name === 'text')
    .map(({ text }) => text);

const GREY = '#d8dee4';

describe('deltaFigure', () => {
  it('is an SVG of three panels with a cell for each step and block, on white', () => {
    const svg = figure(analysisOf(20, 28));
    expect(svg).toMatchObject({ name: 'svg', attributes: { xmlns: 'http://www.w3.org/2000/svg' } });
    const cells = cellsOf(svg);
    expect(cells.map((panel) => panel.length)).toEqual([560, 560, 560]);
    const ground = svg.children.find(({ name }) => name === 'rect')!;
    const { width, height } = svg.attributes;
    expect(ground.attributes).toMatchObject({ width, height, fill: '#ffffff' });
  });

  it('says what it is a mean of', () => {
    const line = (changes: Partial<DeltaAnalysis>) => textsOf(figure(analysisOf(2, 3, changes))).join(' ');
    expect(line({})).toContain('mean over both guidance halves of 2 pictures of 2 classes');
    const subjects = ['a red apple', 'a red apple'];
    expect(line({ subjects, subjectKind: 'prompt', rows: 2 })).toContain(
      'mean over the conditional half of 2 pictures of 1 prompt ',
    );
  });

  it('puts the steps from left to right and the blocks from top to bottom, in cells that touch', () => {
    const [norm] = cellsOf(figure(analysisOf(5, 3)));
    const places = norm!.map(({ attributes: { x, y } }) => [Number(x), Number(y)]);
    const { width, height } = norm![0]!.attributes;
    const want = Array.from({ length: 15 }, (_, i) => [Math.floor(i / 3) * Number(width), (i % 3) * Number(height)]);
    expect(places).toEqual(want);
  });

  it('colours by value: the least dark violet, the largest yellow, the undefined grey', () => {
    const [norm, cosine, change] = cellsOf(figure(analysisOf(4, 3))).map((panel) =>
      panel.map(({ attributes: { fill } }) => fill),
    );
    expect([norm![0], norm![11]]).toEqual(['#440154', '#fde725']);
    for (const panel of [cosine!, change!]) {
      expect(panel.slice(0, 3)).toEqual([GREY, GREY, GREY]);
      expect(panel.slice(3)).not.toContain(GREY);
    }
    expect([cosine![3], cosine![11]]).toEqual(['#fde725', '#440154']); // 0.999 and 0.995
    expect([change![3], change![11]]).toEqual(['#440154', '#fde725']);
  });

  it('names its settings, its axes and the numbers of its colours', () => {
    const texts = textsOf(figure(analysisOf(20, 28)));
    expect(texts).toContain('Residuals Δ = h_out − h_in of the blocks of tiny');
    expect(texts).toContain('uncached · 20 steps of ddim · guidance 4 · original numerics on cpu');
    expect(texts).toContain('mean over both guidance halves of 2 pictures of 2 classes · grey: no step before');
    expect(texts.filter((text) => text === 'step from noise, timestep below it')).toHaveLength(3);
    expect(texts.filter((text) => text === 'block, from the first')).toHaveLength(3);
    for (const tick of ['0', '5', '15', '950', '700', '25']) expect(texts).toContain(tick);
    for (const number of ['0.98', '0.99', '0.995', '0.999', '0.1', '0.2', '5', '10', '20'])
      expect(texts).toContain(number);
  });

  it('escapes what a name may hold', () => {
    const model = 'models/<script>&"\'\u0000\ud800]]>';
    const svg = figure(analysisOf(3, 2, { model }));
    expect(textsOf(svg).join('\n')).toContain('of <script>&"\'\ufffd\ufffd]]>');
    expect(allElements(svg).filter(({ name }) => name === 'script')).toEqual([]);
  });

  it.each([
    [1, 1],
    [1, 28],
    [50, 28],
    [250, 40],
    [1000, 2],
  ])('of %i steps and %i blocks has its ticks and cells inside', (steps, depth) => {
    const svg = figure(analysisOf(steps, depth));
    const cells = cellsOf(svg);
    expect(cells.map((panel) => panel.length)).toEqual([steps * depth, steps * depth, steps * depth]);
    const [svgWidth, svgHeight] = [Number(svg.attributes.width), Number(svg.attributes.height)];
    const ticks = new Set(textsOf(svg).filter((text) => /^\d+$/.test(text)));
    expect(ticks.size).toBeLessThan(40);
    const outside = cells.flat().filter(({ attributes: { x, y, width, height } }) => {
      const [right, bottom] = [Number(x) + Number(width), Number(y) + Number(height)];
      return !(Number(width) >= 1 && Number(height) >= 1 && right < svgWidth && bottom < svgHeight);
    });
    expect(outside).toEqual([]);
  });

  it('holds no number that is none, also where nothing is defined or all is equal', () => {
    const still: DeltaSeries = {
      ...{ norm: [1, 1], relativeNorm: [0, 0], cosine: [null, null] },
      ...{ relativeChange: [null, 0], reuseError: [null, 0] },
    };
    const text = deltaFigure(analysisOf(2, 1, { blocks: [{ first: 0, count: 1, mean: still, std: still }] }));
    expect(text).not.toMatch(/NaN|Infinity|undefined|null/);
    expect(cellsOf(parseXml(text)).map((panel) => panel.length)).toEqual([2, 2, 2]);
  });
});

describe('svgElement', () => {
  it('writes attributes and children, numbers to a hundredth', () => {
    expect(svgElement('g', { x: 1 / 3, id: 'a"b' }, svgElement('rect', {}))).toBe(
      '<g x="0.33" id="a&#34;b"><rect/></g>',
    );
  });

  it('keeps letters outside the basic plane, and replaces halves of them', () => {
    expect(svgText('Δ 😀 \ud83d')).toBe('Δ 😀 \ufffd');
  });
});
