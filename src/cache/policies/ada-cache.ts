import type * as tf from '@tensorflow/tfjs-core';
import { readTensor } from '../../device.ts';
import { OptionError } from '../../errors.ts';
import { gatherRows } from '../../ops/rows.ts';
import type { BlockPass, DynamicRun } from '../dynamic.ts';
import type { DynamicPolicy } from '../policy.ts';
import { type HalvesOption, halvesTogether, relativeChange } from '../row-change.ts';
import type { RowTensors } from '../row-tensors.ts';
import { checkWhole } from '../stage-planner.ts';

/** A change below `below` lets the next step be computed `steps` steps later: 1 is the next one. */
export interface CodebookEntry {
  readonly below: number;
  readonly steps: number;
}

/** The authors' codebooks (configs/sample_adacache.py): two for 30 steps, one for 100. The last entry holds for all above. */
export const ADA_CACHE_CODEBOOKS = {
  fast: codebook([0.08, 6], [0.16, 5], [0.24, 4], [0.32, 3], [0.4, 2], [1, 1]),
  slow: codebook([0.08, 3], [0.16, 2], [0.24, 1], [0.32, 1], [0.4, 1], [1, 1]),
  'hundred-steps': codebook([0.03, 12], [0.05, 10], [0.07, 8], [0.09, 6], [0.11, 4], [1, 3]),
} as const satisfies Record<string, readonly CodebookEntry[]>;

export type CodebookName = keyof typeof ADA_CACHE_CODEBOOKS;

export interface AdaCacheOptions extends HalvesOption {
  /** Rising in `below`. Default 'fast', the authors' faster one for 30 steps. */
  readonly codebook?: CodebookName | readonly CodebookEntry[];
  /** The block whose self-attention tells. Default the middle one, the authors' 13 of 28. */
  readonly watchedBlock?: number;
}

/**
 * AdaCache (arXiv 2411.02397; `STDiT3Block` of github.com/AdaCache-DiT/AdaCache). With P what the middle block's
 * self-attention adds to the tokens, gate included, and P′ that of the step computed before, d = Σ|P − P′| ÷ Σ|P′| ÷ n, n the
 * steps that were to lie between them. A codebook says of d how many steps later the blocks are computed again; until then
 * they add what they last added. The first step and the last two are computed.
 *
 * The authors keep what each sublayer added, all at the same steps; the sum of these is the residual of all blocks, the one
 * tensor that is kept here. Their motion regularisation is for video and left out.
 * @throws OptionError for a codebook that does not rise, or with a run for a block that the model lacks.
 */
export function adaCache(options: AdaCacheOptions = {}): DynamicPolicy {
  const { codebook: given = 'fast' } = options;
  const entries = typeof given === 'string' ? ADA_CACHE_CODEBOOKS[given] : given;
  if (!entries)
    throw new OptionError(`codebook: expected ${Object.keys(ADA_CACHE_CODEBOOKS).join(', ')}, got ${given}`);
  checkCodebook(entries);
  return {
    name: 'adacache',
    begin: (setting) => {
      const { numInferenceSteps, depth } = setting;
      const watchedBlock = options.watchedBlock ?? Math.floor((depth - 1) / 2);
      checkWhole('watchedBlock', watchedBlock, 0, depth - 1, "the model's last block");
      const halves = halvesTogether(options.halves, setting);
      return new AdaCacheRun(entries, { block: watchedBlock, halves }, numInferenceSteps);
    },
  };
}

class AdaCacheRun implements DynamicRun {
  readonly keeps = 'delta';
  readonly predictor = { name: 'hold' } as const;
  readonly signals: number[][] = [];
  /** Of each row the step last computed, d there, and how many steps later the next is computed. */
  private readonly rows: { computed: number; rate: number; distance: number }[] = [];

  constructor(
    private readonly codebook: readonly CodebookEntry[],
    private readonly watched: { readonly block: number; readonly halves: number },
    private readonly numSteps: number,
  ) {}

  mayReuse(step: number): boolean {
    return step > 0 && step < this.numSteps - 2;
  }

  async blocks(step: number, pass: BlockPass): Promise<void> {
    const reuse = Array.from({ length: pass.rowCount }, (_, row) => {
      const { computed, rate } = this.rows[row] ?? { computed: -1, rate: 1 };
      return this.mayReuse(step) && step !== computed + rate;
    });
    const { block, halves } = this.watched;
    const saw = (added: tf.Tensor3D, rows: readonly number[]) => watch(pass.kept, added, rows, halves);
    await pass.span(pass.depth, reuse, { block, branch: 'self', saw });
    const change = reuse.includes(false) ? pass.kept.get('change') : undefined;
    const changes = change && (await readTensor(change));
    this.signals.push(
      reuse.map((reused, row) => {
        const { rate, distance } = this.rows[row] ?? { rate: 1, distance: 0 };
        if (reused) return distance;
        const now = changes ? (changes[row] ?? 0) / rate : 0;
        this.rows[row] = { computed: step, rate: changes ? this.stepsAt(now) : rate, distance: now };
        return now;
      }),
    );
  }

  private stepsAt(distance: number): number {
    return (this.codebook.find(({ below }) => distance < below) ?? this.codebook.at(-1))?.steps ?? 1;
  }
}

/** Keeps what the watched branch adds in the rows that are computed, and its change since they last were. */
function watch(kept: RowTensors, added: tf.Tensor3D, rows: readonly number[], halves: number): void {
  const before = kept.get('attention');
  if (before) kept.replace('change', relativeChange(added, gatherRows(before, rows), halves), rows);
  kept.replace('attention', added, rows);
}

function codebook(...entries: readonly (readonly [below: number, steps: number])[]): readonly CodebookEntry[] {
  return entries.map(([below, steps]) => ({ below, steps }));
}

function checkCodebook(entries: readonly CodebookEntry[]): void {
  const isRising = entries.every(({ below }, i) => below > (entries[i - 1]?.below ?? 0));
  const isWhole = entries.every(({ steps }) => Number.isInteger(steps) && steps >= 1);
  if (entries.length > 0 && isRising && isWhole) return;
  const shown = entries.map(({ below, steps }) => `${below}:${steps}`).join(' ');
  throw new OptionError(
    `codebook: expected rising changes and whole numbers of steps from 1 on, got ${shown || 'none'}`,
  );
}
