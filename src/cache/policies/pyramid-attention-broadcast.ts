import { OptionError } from '../../errors.ts';
import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import { branchSites, planReuse } from '../reuse-table.ts';
import type { Site } from '../site.ts';
import { checkWhole } from '../stage-planner.ts';

export interface PyramidAttentionBroadcastOptions {
  /** Steps that share a self-attention. Default 2. */
  readonly selfRange?: number;
  /** Steps that share a cross-attention. Default 6. */
  readonly crossRange?: number;
  /** Attention is shared only at timesteps between the two, neither included. Default 100 and 800. */
  readonly minTimestep?: number;
  readonly maxTimestep?: number;
  /** Timesteps of the run whose MLP outputs are kept for the steps that follow. Default: none. */
  readonly mlpTimesteps?: readonly number[];
  /** How many steps follow each. Default 2. */
  readonly mlpSkip?: number;
  /** Blocks whose MLPs are. Default: the first 5. */
  readonly mlpBlocks?: readonly number[];
}

/** `LattePABConfig` of VideoSys, which is built of PixArt-α's blocks; its MLPs, with timesteps of 50 steps, left out. */
const LATTE = { selfRange: 2, crossRange: 6, minTimestep: 100, maxTimestep: 800, mlpSkip: 2 };
const LATTE_MLP_BLOCKS = 5;

type Checked = Required<PyramidAttentionBroadcastOptions>;

/**
 * Pyramid Attention Broadcast (arXiv 2408.12588; `PABManager` of github.com/NUS-HPC-AI-Lab/VideoSys): inside a window of
 * timesteps an attention is computed at every range-th step and held between, each kind at its own range; steps count
 * from noise, wherever the window begins. What is held is the output before its gate, as in diffusers'
 * PyramidAttentionBroadcast; the authors hold a self-attention and an MLP after it. Made for video; here the branch
 * `self` is their spatial attention.
 */
export function pyramidAttentionBroadcast(options: PyramidAttentionBroadcastOptions = {}): StaticPolicy {
  return {
    name: 'pab',
    plan: (setting: PlanSetting) => {
      const checked = checkedOptions(options, setting);
      return planReuse({ ...setting, keeps: 'output', reuseAt: (step) => sitesAt(step, checked, setting) });
    },
  };
}

function checkedOptions(options: PyramidAttentionBroadcastOptions, { depth, timesteps }: PlanSetting): Checked {
  const blocks = Array.from({ length: Math.min(LATTE_MLP_BLOCKS, depth) }, (_, block) => block);
  const checked = { ...LATTE, mlpTimesteps: [], mlpBlocks: blocks, ...options };
  for (const name of ['selfRange', 'crossRange', 'mlpSkip'] as const)
    checkWhole(name, checked[name], name === 'mlpSkip' ? 0 : 1, Number.MAX_SAFE_INTEGER, 'steps');
  if (!(checked.minTimestep <= checked.maxTimestep)) {
    throw new OptionError(
      `minTimestep and maxTimestep: expected numbers, the first not above the second; got ${checked.minTimestep} and ${checked.maxTimestep}`,
    );
  }
  for (const block of checked.mlpBlocks) checkWhole('mlpBlocks', block, 0, depth - 1, "the model's blocks");
  const odd = checked.mlpTimesteps.find((timestep) => !timesteps.includes(timestep));
  if (odd !== undefined)
    throw new OptionError(`mlpTimesteps: this run has none at ${odd}; its timesteps are ${timesteps.join(', ')}`);
  return checked;
}

function sitesAt(step: number, options: Checked, setting: PlanSetting): readonly Site[] {
  const { selfRange, crossRange, minTimestep, maxTimestep } = options;
  const timestep = setting.timesteps[step] ?? 0;
  const isInside = minTimestep < timestep && timestep < maxTimestep;
  const isShared = (branch: string, range: number) =>
    isInside && step % range !== 0 && setting.branches.some((name) => name === branch);
  return [
    ...(isShared('self', selfRange) ? branchSites(setting, ['self']) : []),
    ...(isShared('cross', crossRange) ? branchSites(setting, ['cross']) : []),
    ...(skipsMlp(step, options, setting) ? options.mlpBlocks : []).map(
      (block): Site => ({ kind: 'branch', block, branch: 'mlp' }),
    ),
  ];
}

/** Whether a step follows one of `mlpTimesteps` closely enough; those themselves are always computed. */
function skipsMlp(step: number, { mlpTimesteps, mlpSkip }: Checked, { timesteps }: PlanSetting): boolean {
  const stepsOf = mlpTimesteps.map((timestep) => timesteps.indexOf(timestep));
  return !stepsOf.includes(step) && stepsOf.some((first) => step > first && step <= first + mlpSkip);
}
