import { FormatError } from '../errors.ts';
import type { BranchName } from '../models/block.ts';
import { MODEL_SITE, type Site, spanSite } from './site.ts';

/**
 * Sites as text: `model`, a span by its first and last block `0-20`, branches by name and blocks `mlp:0-3,7`, with
 * spaces between. Nothing is an empty text.
 */
export function formatSites(sites: readonly Site[]): string {
  const blocksOf = new Map<BranchName, number[]>();
  const outer = sites.flatMap((site) => {
    if (site.kind === 'model') return ['model'];
    if (site.kind === 'span') return [formatRange(site.first, site.first + site.count - 1)];
    blocksOf.set(site.branch, [...(blocksOf.get(site.branch) ?? []), site.block]);
    return [];
  });
  const inner = [...blocksOf].map(([branch, blocks]) => `${branch}:${formatBlocks(blocks)}`);
  return [...outer, ...inner].join(' ');
}

function formatBlocks(blocks: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const block of [...blocks].sort((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range && block === range[1] + 1) range[1] = block;
    else ranges.push([block, block]);
  }
  return ranges.map(([first, last]) => formatRange(first, last)).join(',');
}

function formatRange(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** Longer lists are no model's: a range in a file must not fill the memory. */
const MAX_BLOCK = 9999;

/**
 * Reads what `formatSites` writes, branches in the order of their blocks.
 * @param where of the text, for errors
 * @throws FormatError
 */
export function parseSites(where: string, text: string): readonly Site[] {
  const words = text.split(' ').filter((word) => word !== '');
  const outer: Site[] = [];
  const inner: Extract<Site, { kind: 'branch' }>[] = [];
  for (const word of words) {
    const [, branch, blocks] = /^(self|cross|mlp):([\d,-]+)$/.exec(word) ?? [];
    if (word === 'model') outer.push(MODEL_SITE);
    else if (branch !== undefined && blocks !== undefined) {
      for (const range of blocks.split(',')) {
        const [first, last] = parseRange(where, range);
        for (let block = first; block <= last; block++)
          inner.push({ kind: 'branch', block, branch: branch as BranchName });
      }
    } else {
      const [first, last] = parseRange(where, word);
      outer.push(spanSite({ first, count: last - first + 1 }));
    }
  }
  return [...outer, ...inner.sort((a, b) => a.block - b.block)]; // a stable sort
}

function parseRange(where: string, text: string): [first: number, last: number] {
  const [, from, to] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from ?? Number.NaN), Number(to ?? from ?? Number.NaN)];
  if (!(first <= last && last <= MAX_BLOCK)) {
    throw new FormatError(
      `${where}: expected sites such as model, 0-20 or mlp:0-3,7, got ${JSON.stringify(text.slice(0, 40))}; make the file again`,
    );
  }
  return [first, last];
}
