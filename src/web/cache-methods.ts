/** The cache methods that the page offers; what makes them is in the worker, `cache-policies.ts`. */

export type MethodName =
  | 'delta-dit'
  | 'fora'
  | 'taylorseer'
  | 'pab'
  | 'faster-diffusion'
  | 'forecast'
  | 'first-block-cache'
  | 'teacache';

/** A number of a method, left to the method where nothing is entered. */
export interface MethodOption {
  /** As the command line's `--cache-option` has it. */
  readonly name: string;
  readonly label: string;
  /** What it means, for those who point at it. */
  readonly meaning: string;
  readonly min: number;
  readonly max: number;
  readonly step: number | 'any';
  /** What the method takes otherwise, where that does not depend on the run. */
  readonly otherwise?: number;
}

export interface CacheMethod {
  readonly name: MethodName;
  readonly title: string;
  /** One sentence. */
  readonly note: string;
  readonly options: readonly MethodOption[];
}

const MOST_STEPS = 100;
const MOST_BLOCKS = 28;

const INTERVAL = {
  name: 'interval',
  label: 'N',
  meaning: 'one full step in every N',
  min: 1,
  max: MOST_STEPS,
  step: 1,
};
const CACHED_BLOCKS = {
  name: 'cachedBlocks',
  label: 'N_c',
  meaning: 'blocks that a cached step skips',
  min: 0,
  max: MOST_BLOCKS,
  step: 1,
};
const THRESHOLD = {
  name: 'threshold',
  label: 'τ',
  meaning: 'the change that is passed over',
  min: 0,
  max: 10,
  step: 'any',
} as const;

export const CACHE_METHODS: readonly CacheMethod[] = [
  {
    name: 'delta-dit',
    title: 'Δ-DiT',
    note: 'Holds Δ of the rear blocks in the first b steps, of the front blocks after them.',
    options: [
      INTERVAL,
      CACHED_BLOCKS,
      { name: 'stageBound', label: 'b', meaning: 'steps that cache the rear blocks', min: 0, max: MOST_STEPS, step: 1 },
    ],
  },
  {
    name: 'fora',
    title: 'FORA',
    note: 'Holds what every attention and MLP gave.',
    options: [{ ...INTERVAL, otherwise: 3 }],
  },
  {
    name: 'taylorseer',
    title: 'TaylorSeer',
    note: 'Extrapolates what every attention and MLP gave by a Taylor series.',
    options: [
      { ...INTERVAL, otherwise: 4 },
      { name: 'order', label: 'O', meaning: 'order of the series', min: 0, max: 6, step: 1, otherwise: 4 },
    ],
  },
  {
    name: 'pab',
    title: 'Pyramid Attention Broadcast',
    note: 'Shares attentions between steps in the middle of the run.',
    options: [
      { ...INTERVAL, name: 'selfRange', label: 'Range', meaning: 'steps that share a self-attention', otherwise: 2 },
    ],
  },
  {
    name: 'faster-diffusion',
    title: 'Faster Diffusion',
    note: 'Holds the output of the front blocks, not what they added.',
    options: [INTERVAL, CACHED_BLOCKS],
  },
  {
    name: 'forecast',
    title: 'Forecast',
    note: 'Skips the whole model at most steps and extrapolates its output.',
    options: [{ ...INTERVAL, otherwise: 2 }],
  },
  {
    name: 'first-block-cache',
    title: 'First Block Cache',
    note: 'Decides as it runs: where the first block changes little, the others are held.',
    options: [{ ...THRESHOLD, otherwise: 0.05 }],
  },
  {
    name: 'teacache',
    title: 'TeaCache',
    note: 'Decides as it runs: while the input of the blocks changes little, they are held.',
    options: [{ ...THRESHOLD, otherwise: 0.1 }],
  },
];

/** A method with what was entered of its options. */
export interface CacheChoice {
  readonly method: MethodName;
  readonly options: Readonly<Record<string, number>>;
}

/** @returns undefined for 'none' */
export function methodNamed(name: string): CacheMethod | undefined {
  return CACHE_METHODS.find((method) => method.name === name);
}
