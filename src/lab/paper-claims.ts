import type { LabRow } from './lab-table.ts';

/** What is read off a row. */
const MEASURES = {
  gradient: (row: LabRow) => row.toConverged.gradientDifference,
  'high-frequency error': (row: LabRow) => row.toConverged.highFrequencyError,
  PIQE: (row: LabRow) => row.piqe,
  Fréchet: (row: LabRow) => row.recognised?.frechetDistance,
  'Inception Score': (row: LabRow) => row.recognised?.inceptionScore,
  agreement: (row: LabRow) => row.recognised?.agreement?.found,
} as const;
export type Measure = keyof typeof MEASURES;

/** Which of the paper's models a checkpoint is compared with. */
export type PaperModel = 'DiT-XL' | 'PixArt-α' | 'PixArt-α-LCM';

/** A sign or an order in a table or figure of Δ-DiT (arXiv 2406.01125), as an order of rows by a measure. */
interface PaperClaim {
  readonly source: string;
  readonly models: readonly PaperModel[];
  readonly measure: Measure;
  /** Rows from the lowest to the highest, each with the paper's number. */
  readonly rising: Readonly<Record<string, number>>;
}

/** A claim beside what was measured. */
export interface JudgedClaim {
  readonly source: string;
  readonly measure: Measure;
  readonly rising: readonly { readonly row: string; readonly published: number; readonly measured: number }[];
  /** Whether the measured numbers rise in that order, too. */
  readonly confirmed: boolean;
}

const ANY: readonly PaperModel[] = ['DiT-XL', 'PixArt-α'];

/**
 * Tables 1 to 4, without the rows of TGATE, and Fig. 5, whose numbers between the ends are read off its plots. FID and IS
 * become the Fréchet distance to the converged pictures and the Inception Score of a classifier of the same pictures, CLIP
 * becomes agreement with it.
 */
const CLAIMS: readonly PaperClaim[] = [
  claim('Table 1: caching the front softens outlines, caching the rear keeps them', ANY, 'gradient', {
    front: 36.17,
    middle: 42.836,
    rear: 59.32,
  }),
  claim('Table 1: the rear keeps high frequencies best', ANY, 'high-frequency error', {
    rear: 0.776,
    middle: 0.838,
    front: 0.866,
  }),
  claim('Table 1: the front keeps detail best', ANY, 'PIQE', { front: 13.137, middle: 15.219, rear: 19.974 }),
  ...fid('Table 2', 'PixArt-α', [
    ['the later the cached span, the better', { rear: 34.819, middle: 35.907, front: 41.702 }],
    ['Δ-DiT is better than no cache', { 'Δ-DiT': 35.882, 'T=20': 39.002 }],
    ['Δ-DiT is better than 13 steps', { 'Δ-DiT': 35.882, 'T=13': 39.989 }],
    ['Δ-DiT is better than Faster Diffusion', { 'Δ-DiT': 35.882, 'Faster Diffusion': 42.763 }],
    ['13 steps are worse than 20', { 'T=20': 39.002, 'T=13': 39.989 }],
    ['Faster Diffusion is worse than no cache', { 'T=20': 39.002, 'Faster Diffusion': 42.763 }],
    ['the rear alone is better than both stages', { rear: 34.819, 'Δ-DiT': 35.882 }],
  ]),
  ...fid('Table 4', 'DiT-XL', [
    ['the later the cached span, the better', { rear: 13.391, middle: 14.27, front: 15.112 }],
    ['Δ-DiT is better than no cache', { 'Δ-DiT': 13.289, 'T=20': 15.893 }],
    ['Δ-DiT is better than 13 steps', { 'Δ-DiT': 13.289, 'T=13': 15.982 }],
    ['Δ-DiT is better than Faster Diffusion', { 'Δ-DiT': 13.289, 'Faster Diffusion': 15.145 }],
    ['13 steps are worse than 20', { 'T=20': 15.893, 'T=13': 15.982 }],
    ['Faster Diffusion is better than no cache', { 'Faster Diffusion': 15.145, 'T=20': 15.893 }],
    ['both stages are better than the rear alone', { 'Δ-DiT': 13.289, rear: 13.391 }],
  ]),
  claim('Table 2: Δ-DiT has the higher Inception Score', ['PixArt-α'], 'Inception Score', {
    'T=13': 30.822,
    'T=20': 31.385,
    'Δ-DiT': 32.222,
  }),
  claim('Table 4: Δ-DiT has the higher Inception Score', ['DiT-XL'], 'Inception Score', {
    'T=13': 436.73,
    'T=20': 440.797,
    'Δ-DiT': 442.028,
  }),
  claim('Table 2: both stages follow the prompt best', ['PixArt-α'], 'agreement', {
    rear: 29.898,
    middle: 30.183,
    front: 30.288,
    'Δ-DiT': 30.404,
  }),
  ...fid('Table 3', 'PixArt-α-LCM', [
    ['Δ-DiT is a little better than no cache', { 'Δ-DiT N_c=4': 39.967, 'T=4': 40.433 }],
    ['more cached blocks are a little worse', { 'Δ-DiT N_c=4': 39.967, 'Δ-DiT N_c=6': 40.118 }],
    ['Faster Diffusion breaks at 4 steps', { 'T=4': 40.433, 'Faster Diffusion': 468.471 }],
  ]),
  ...fid('Fig. 5', 'PixArt-α', [
    ['a later switch is better, from b = 4 on', { 'b=16': 34.6, 'b=12': 35.882, 'b=8': 38.9, 'b=4': 42.9 }],
    ['rear only is better than front only', { 'b=20': 34.819, 'b=0': 41.702 }],
    ['few cached blocks are worse than none', { 'T=20': 39.002, 'N_c=7': 40.1 }],
    [
      'three quarters of the blocks are better than all, and those than none',
      { 'N_c=21': 35.882, 'N_c=28': 37.7, 'T=20': 39.002 },
    ],
  ]),
];

type Rising = PaperClaim['rising'];

function claim(source: string, models: readonly PaperModel[], measure: Measure, rising: Rising): PaperClaim {
  return { source, models, measure, rising };
}

function fid(table: string, model: PaperModel, claims: readonly (readonly [string, Rising])[]): readonly PaperClaim[] {
  return claims.map(([text, rising]) => claim(`${table}: ${text}`, [model], 'Fréchet', rising));
}

/** Where the rows of a claim stand in a laboratory's table. */
export interface ClaimSetting {
  readonly model: PaperModel;
  readonly sampler: string;
  readonly numInferenceSteps: number;
  readonly depth: number;
}

/** The claims about a model of which the table has all rows, each beside what was measured. */
export function judgeClaims(rows: readonly LabRow[], setting: ClaimSetting): readonly JudgedClaim[] {
  const rowOf = new Map(rows.map((row) => [row.method, row]));
  return CLAIMS.filter(({ models }) => models.includes(setting.model)).flatMap(({ source, measure, rising }) => {
    const measured = Object.entries(rising).map(([name, published]) => {
      const row = rowOf.get(methodOf(name, setting));
      return { row: name, published, measured: row && MEASURES[measure](row) };
    });
    const known = measured.flatMap((one) => (one.measured === undefined ? [] : [{ ...one, measured: one.measured }]));
    if (known.length < measured.length) return [];
    const confirmed = known.every(({ measured }, i) => i === 0 || measured > (known[i - 1]?.measured ?? Number.NaN));
    return [{ source, measure, rising: known, confirmed }];
  });
}

/** The paper's name of a row as the laboratory's grids call it; b and N_c of 20 steps and 28 blocks as shares. */
function methodOf(name: string, { sampler, numInferenceSteps: steps, depth }: ClaimSetting): string {
  const [what, value] = name.split('=');
  const number = Number(value);
  const at = (method: string) => `${method}, ${sampler}, ${steps} steps`;
  switch (what) {
    case 'T':
      return `${sampler}, ${number === 13 ? Math.ceil(steps / 1.6) : steps} steps`; // 13 are the 20 that 1.6 is saved of
    case 'b':
      return at(`delta-dit b=${Math.round((number / 20) * steps)}`);
    case 'N_c':
    case 'Δ-DiT N_c':
      return at(`delta-dit N_c=${Math.round((number / 28) * depth)}`);
    case 'Δ-DiT':
      return at('delta-dit');
    case 'Faster Diffusion':
      return at('faster-diffusion N=2');
    default:
      return at(`delta-cache-${name}`);
  }
}
