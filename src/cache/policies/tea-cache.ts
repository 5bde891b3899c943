import { OptionError } from '../../errors.ts';
import { AccumulatedChange } from '../accumulated-change.ts';
import type { BlockPass, DynamicRun } from '../dynamic.ts';
import { checkNumber } from '../option-checks.ts';
import type { DynamicPolicy } from '../policy.ts';
import { type HalvesOption, halvesTogether, readRows, relativeChange } from '../row-change.ts';

export interface TeaCacheOptions extends HalvesOption {
  /** τ: the blocks are skipped while the accumulated change stays below it. Default 0.1; 0 skips nothing. */
  readonly threshold?: number;
  /** Of the polynomial that turns the change of the input into that of the output, highest power first. Default [1, 0]. */
  readonly coefficients?: readonly number[];
}

/**
 * TeaCache (arXiv 2411.19108; `teacache_forward` of github.com/ali-vilab/TeaCache). With M the first block's modulated
 * input at a step, s = mean|M − M′| ÷ mean|M′|, M′ that of the step before. p(s) is added up; while the sum stays below τ,
 * all blocks are replaced by the residual that they had when last computed; else they are computed and the sum starts
 * anew. The first and the last step are computed.
 *
 * The authors fit p, of degree 4, for each model; none is published for DiT or PixArt, so p(s) = s unless coefficients are
 * given. 0.1 is the authors' slower setting for Open-Sora, Latte and CogVideoX (eval/teacache), 0.2 their faster one.
 * @throws OptionError for a negative threshold, or coefficients that are no numbers.
 */
export function teaCache(options: TeaCacheOptions = {}): DynamicPolicy {
  const { threshold = 0.1, coefficients = [1, 0] } = options;
  checkNumber('threshold', threshold, 0);
  if (coefficients.length === 0 || !coefficients.every(Number.isFinite)) {
    throw new OptionError(`coefficients: expected numbers, highest power first, got [${coefficients.join(', ')}]`);
  }
  return {
    name: 'teacache',
    begin: (setting) => {
      const halves = halvesTogether(options.halves, setting);
      return new TeaCacheRun(threshold, { coefficients, halves }, setting.numInferenceSteps - 1);
    },
  };
}

class TeaCacheRun implements DynamicRun {
  readonly keeps = 'delta';
  readonly predictor = { name: 'hold' } as const;
  readonly signals: number[][] = [];
  private readonly accumulated: AccumulatedChange;

  constructor(
    threshold: number,
    private readonly measure: { readonly coefficients: readonly number[]; readonly halves: number },
    private readonly lastStep: number,
  ) {
    this.accumulated = new AccumulatedChange(threshold);
  }

  mayReuse(step: number): boolean {
    return step > 0 && step < this.lastStep;
  }

  async blocks(step: number, pass: BlockPass): Promise<void> {
    const changes = await this.changes(step, pass);
    this.signals.push(changes);
    const rescaled = changes.map((change) => this.rescaled(change));
    await pass.span(pass.depth, this.accumulated.reuse(rescaled, pass.rowCount));
  }

  /** Of each row since the step before; empty where the step is computed whatever they are. */
  private async changes(step: number, pass: BlockPass): Promise<number[]> {
    const input = pass.modulatedInput();
    try {
      const before = pass.kept.get('modulated input');
      const change = before && this.mayReuse(step) ? relativeChange(input, before, this.measure.halves) : undefined;
      pass.kept.put('modulated input', input);
      return change ? await readRows(change) : [];
    } finally {
      input.dispose();
    }
  }

  private rescaled(change: number): number {
    return this.measure.coefficients.reduce((sum, coefficient) => sum * change + coefficient, 0);
  }
}
