import type { TopLevelSpec } from 'vega-lite';
import { FileError } from '../errors.ts';

export type { TopLevelSpec } from 'vega-lite';

/**
 * A vega-lite plot as an SVG document. The libraries are loaded when a plot is drawn.
 * @param title for screen readers
 * @throws FileError where they are not installed
 */
export async function plotSvg(title: string, spec: TopLevelSpec): Promise<string> {
  const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')]).catch((cause) => {
    throw new FileError('plots are drawn by the packages vega and vega-lite; run npm install vega@6.4 vega-lite@6.4', {
      cause,
    });
  });
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg.replace(/(<svg[^>]*>)/, (open) => `${open}<title>${escaped(title)}</title>`);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
