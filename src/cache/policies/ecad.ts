import { z } from 'zod';
import type { JsonObject } from '../../checkpoint/strict-json.ts';
import { FormatError, OptionError } from '../../errors.ts';
import type { BranchName } from '../../models/block.ts';
import type { PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';
import { branchSites, planReuse } from '../reuse-table.ts';

/** diffusers' names, which the authors use. */
const COMPONENTS = { attn1: 'self', attn2: 'cross', ff: 'mlp' } as const satisfies Record<string, BranchName>;

const BLOCK = z.strictObject({ attn1: z.boolean(), attn2: z.boolean(), ff: z.boolean() });
const SCHEDULE = z.object({
  cache_schedule: z.object({
    num_blocks: z.number().int().positive().max(9999),
    num_inference_steps: z.number().int().positive().max(1000),
    /** By step, from noise, and block: whether a component is computed. */
    schedule: z.record(z.string().regex(/^\d{1,4}$/), z.record(z.string().regex(/^\d{1,4}$/), BLOCK)),
  }),
});

/** Of each step and block, which branches are computed. */
export type EcadSchedule = readonly (readonly Readonly<Partial<Record<BranchName, boolean>>>[])[];

/** Whether a JSON object looks like a schedule of ECAD. */
export function isEcadSchedule(json: JsonObject): boolean {
  return 'cache_schedule' in json;
}

/** @throws FormatError when it is damaged, or of FLUX, whose blocks have other components */
export function parseEcadSchedule(where: string, json: JsonObject): EcadSchedule {
  const parsed = SCHEDULE.safeParse(json);
  if (!parsed.success)
    throw new FormatError(`${where}: no schedule of ECAD for a PixArt; get it again\n${z.prettifyError(parsed.error)}`);
  const { num_blocks: depth, num_inference_steps: steps, schedule } = parsed.data.cache_schedule;
  const byStep = new Map(Object.entries(schedule).map(([step, blocks]) => [Number(step), blocks]));
  return Array.from({ length: steps }, (_, step) =>
    Array.from({ length: depth }, (__, block) => {
      const components = byStep.get(step)?.[block];
      if (!components) throw new FormatError(`${where}: says nothing of block ${block} at step ${step}; get it again`);
      return Object.fromEntries(Object.entries(COMPONENTS).map(([name, branch]) => [branch, components[name as 'ff']]));
    }),
  );
}

/**
 * A schedule as ECAD publishes it (arXiv 2506.15682; `CachedTransformerBlock` of github.com/AniAggarwal/ecad,
 * schedules/schedules_in_paper): of each step, block and component whether it is computed or held, before its gate. What
 * was never computed is, whatever the schedule says: so step 0 is full. The three for PixArt-α at 256 pixels compute 598,
 * 405 and 324 of 1680 beside that. A schedule does not say which weights and sampler it was made for: the authors' take
 * PixArt's DPM-Solver++ at 20 steps.
 */
export function ecad(schedule: EcadSchedule): StaticPolicy {
  return {
    name: 'ecad',
    madeFor: { numInferenceSteps: schedule.length },
    plan: (setting: PlanSetting) => {
      checkFits(schedule, setting);
      const sites = branchSites(setting);
      const isHeld = (step: number, block: number, branch: BranchName) => schedule[step]?.[block]?.[branch] === false;
      const reuseAt = (step: number) =>
        step === 0 ? [] : sites.filter((site) => site.kind === 'branch' && isHeld(step, site.block, site.branch));
      return planReuse({ ...setting, keeps: 'output', reuseAt });
    },
  };
}

function checkFits(schedule: EcadSchedule, { numInferenceSteps, depth, branches }: PlanSetting): void {
  const blocks = schedule[0]?.length ?? 0;
  if (schedule.length === numInferenceSteps && blocks === depth && branches.join() === 'self,cross,mlp') return;
  throw new OptionError(
    `cache ecad: a schedule of ${schedule.length} steps for a PixArt of ${blocks} blocks; this run has ${numInferenceSteps} steps, and a model of ${depth} blocks of ${branches.join(', ')}; take the schedule of this model and as many steps`,
  );
}
