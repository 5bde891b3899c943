import type { TableArtifact } from '../artifact.ts';
import { differencesOf, refuseOtherRun } from '../fingerprint.ts';
import type { CachePlan, PlanSetting } from '../plan.ts';
import type { StaticPolicy } from '../policy.ts';

/**
 * A schedule from a file: what SmoothCache, Learning-to-Cache, HarmoniCa, ECAD, ProCache, MagCache, FEB-Cache and a
 * tuner find is which sites each step reuses, and nothing else at run time.
 *
 * What others publish is read as it is where it is public: `smoothCache`, `learningToCache`, `harmoniCa` (no router of its
 * own is published) and `ecad`. MagCache publishes ratios of its video and FLUX models inside its code, which say nothing
 * of a DiT or a PixArt: "delta-dit calibrate" measures them. Of ProCache and FEB-Cache no code or schedule was found; write
 * theirs as this artifact (`artifactJson`): a step a line, by the sites that it reuses. FEB-Cache's rescaling of the noise
 * and ProCache's partly computed tokens are no schedules, and left out.
 *
 * Steps, sampler and guidance that a caller leaves open are those of the run that the artifact was made for; its `plan`
 * throws an OptionError where the run differs from it.
 */
export function tablePolicy({ method, fingerprint, plan }: TableArtifact): StaticPolicy {
  return {
    name: method,
    madeFor: fingerprint,
    plan: (setting: PlanSetting) => {
      const differences = new Set([...differencesOf(fingerprint, setting), ...modelDifferences(plan, setting)]);
      refuseOtherRun(method, [...differences]);
      return plan;
    },
  };
}

/** What a fingerprint need not say. */
function modelDifferences(plan: CachePlan, { numInferenceSteps, depth, branches }: PlanSetting): readonly string[] {
  const pairs: [string, string | number, string | number][] = [
    ['steps', plan.steps.length, numInferenceSteps],
    ['blocks', plan.depth, depth],
    ['branches', plan.branches.join('+'), branches.join('+')],
  ];
  return pairs.flatMap(([name, of, got]) => (of === got ? [] : [`${name} ${of}, not ${got}`]));
}
