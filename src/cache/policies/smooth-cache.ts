import * as z from 'zod';
import type { JsonObject } from '../../checkpoint/strict-json.ts';
import { FormatError, OptionError } from '../../errors.ts';
import type { BranchName } from '../../models/block.ts';
import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import { branchSites, planReuse } from '../reuse-table.ts';

/** The authors' names, of facebookresearch/DiT and of diffusers. */
const BRANCHES: ReadonlyMap<string, BranchName> = new Map([
  ['attn', 'self'],
  ['attn1', 'self'],
  ['attn2', 'cross'],
  ['mlp', 'mlp'],
  ['ff', 'mlp'],
]);

const SCHEDULE = z.record(
  z
    .string()
    .regex(/^(attn|attn1|attn2|mlp|ff)(-\d{1,4})?$/, 'expected attn, attn1, attn2, mlp or ff, or of a block: mlp-7'),
  z.array(z.literal([0, 1])).min(1),
);

/** Component, or component and block → a number a step: 1 computes, 0 holds. */
export type SmoothCacheSchedule = Readonly<Record<string, readonly (0 | 1)[]>>;

/** Whether a JSON object looks like a schedule of SmoothCache. */
export function isSmoothCacheSchedule(json: JsonObject): boolean {
  const keys = Object.keys(json);
  return keys.length > 0 && keys.every((key) => BRANCHES.has(key.replace(/-\d+$/, '')));
}

/** @throws FormatError when it is damaged */
export function parseSmoothCacheSchedule(where: string, json: JsonObject): SmoothCacheSchedule {
  const parsed = SCHEDULE.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new FormatError(`${where}: no schedule of SmoothCache; get it again\n${z.prettifyError(parsed.error)}`);
}

/**
 * A schedule as SmoothCache publishes it (arXiv 2411.10510; `SmoothCacheHelper` of github.com/Roblox/SmoothCache): each
 * component held where it says 0, that of one block going before that of all. The authors' files for DiT-XL/2 compute
 * 46 of 50 steps at α = 0.08 and 24 at α = 0.18. A schedule does not say which weights and sampler it was made for.
 */
export function smoothCache(schedule: SmoothCacheSchedule): StaticPolicy {
  return {
    name: 'smoothcache',
    madeFor: { numInferenceSteps: Object.values(schedule)[0]?.length },
    plan: (setting: PlanSetting) => {
      const sites = branchSites(setting).flatMap((site) => {
        const steps = site.kind === 'branch' ? stepsOf(schedule, site.block, site.branch) : undefined;
        return steps ? [{ site, steps }] : [];
      });
      checkFits(schedule, setting);
      const reuseAt = (step: number) =>
        sites.flatMap(({ site, steps }) => (step > 0 && steps[step] === 0 ? [site] : []));
      return planReuse({ ...setting, keeps: 'output', reuseAt });
    },
  };
}

function stepsOf(schedule: SmoothCacheSchedule, block: number, branch: BranchName): readonly number[] | undefined {
  const names = [...BRANCHES].flatMap(([name, of]) => (of === branch ? [name] : []));
  for (const key of [...names.map((name) => `${name}-${block}`), ...names]) if (schedule[key]) return schedule[key];
  return undefined;
}

function checkFits(schedule: SmoothCacheSchedule, { numInferenceSteps, depth, branches }: PlanSetting): void {
  for (const [key, steps] of Object.entries(schedule)) {
    const [name = '', block] = key.split('-');
    if (steps.length !== numInferenceSteps) {
      throw new OptionError(
        `cache smoothcache: ${key} has ${steps.length} steps, this run ${numInferenceSteps}; sample as many, or calibrate`,
      );
    }
    const branch = BRANCHES.get(name);
    if (!branch || !branches.includes(branch) || Number(block ?? 0) >= depth) {
      throw new OptionError(
        `cache smoothcache: ${key} is nothing of this model, which has ${branches.join(', ')} in ${depth} blocks; calibrate`,
      );
    }
  }
}
