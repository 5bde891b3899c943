import type { BranchName } from '../models/block.ts';

/** A run of consecutive blocks, [first, first + count). */
export interface Span {
  readonly first: number;
  readonly count: number;
}

/**
 * Where a cache acts: the whole model, from latents to guided output; a span of blocks; one residual branch of a block,
 * before its gate. An outer site silences what is inside it.
 */
export type Site =
  | { readonly kind: 'model' }
  | ({ readonly kind: 'span' } & Span)
  | { readonly kind: 'branch'; readonly block: number; readonly branch: BranchName };

export const MODEL_SITE: Site = { kind: 'model' };

export function spanSite({ first, count }: Span): Site {
  return { kind: 'span', first, count };
}

/** Tells sites apart; shown in errors. */
export function siteKey(site: Site): string {
  if (site.kind === 'model') return 'the model';
  return site.kind === 'span' ? `blocks ${site.first}+${site.count}` : `block ${site.block}'s ${site.branch}`;
}

export function sameSite(a: Site, b: Site): boolean {
  if (a.kind === 'span') return b.kind === 'span' && a.first === b.first && a.count === b.count;
  if (a.kind === 'branch') return b.kind === 'branch' && a.block === b.block && a.branch === b.branch;
  return b.kind === 'model';
}

/** Whether a site lies in a block or covers it. */
export function touchesBlock(site: Site, block: number): boolean {
  if (site.kind === 'model') return true;
  if (site.kind === 'branch') return site.block === block;
  return block >= site.first && block < site.first + site.count;
}
