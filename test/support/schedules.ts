import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CachePlan } from '../../src/cache/plan.ts';
import { type Site, siteKey } from '../../src/cache/site.ts';
import type { BranchName } from '../../src/models/block.ts';

/** A character a step from noise: # computed, . reused. */
type Drawn = string;
type OfBlocks = Readonly<Record<'attn' | 'mlp', readonly Drawn[]>>;

/** What the authors' code does; written by test/fixtures/make_schedules.py. */
export interface AuthorsSchedules {
  readonly fora: Readonly<Record<string, Drawn>>;
  readonly taylorseer: Readonly<Record<string, Drawn>>;
  readonly fasterDiffusion: Readonly<Record<string, Drawn>>;
  readonly pab: readonly {
    readonly options: Readonly<Record<string, unknown>> & { readonly mlpBlocks?: readonly number[] };
    readonly timesteps: readonly number[];
    readonly self: Drawn;
    readonly cross: Drawn;
    readonly mlp: Drawn;
  }[];
  readonly smoothcache: {
    readonly scan: readonly {
      readonly errors: readonly (readonly number[])[];
      readonly threshold: number;
      readonly schedule: Drawn;
    }[];
    readonly measured: {
      readonly outputs: readonly number[];
      readonly errors: readonly (readonly number[])[];
      readonly schedule: Drawn;
    };
    readonly published: Readonly<
      Record<string, { readonly table: Readonly<Record<string, Drawn>>; readonly computed: OfBlocks }>
    >;
  };
  readonly learningToCache: {
    readonly depth: number;
    readonly steps: number;
    readonly threshold: number;
    readonly scores: readonly (readonly number[])[];
    readonly computed: OfBlocks;
  };
  readonly magcache: readonly {
    readonly ratios: readonly number[];
    readonly options: Readonly<Record<string, number>>;
    readonly schedule: Drawn;
  }[];
  readonly teacache: {
    readonly x: readonly number[];
    readonly y: readonly number[];
    readonly coefficients: readonly number[];
  };
}

export const SCHEDULES: AuthorsSchedules = JSON.parse(
  readFileSync(join(__dirname, '../fixtures/schedules.json'), 'utf8'),
);

/** At which steps a plan computes a site. */
export function drawSite({ steps }: CachePlan, site: Site): Drawn {
  return steps.map(({ reuse }) => (reuse.some((one) => siteKey(one) === siteKey(site)) ? '.' : '#')).join('');
}

export function branch(block: number, name: BranchName): Site {
  return { kind: 'branch', block, branch: name };
}

/** Expects every branch of every block to follow one schedule. */
export function expectAllBranches(plan: CachePlan, schedule: Drawn): void {
  for (let block = 0; block < plan.depth; block++)
    for (const name of plan.branches) expect(drawSite(plan, branch(block, name))).toBe(schedule);
}
