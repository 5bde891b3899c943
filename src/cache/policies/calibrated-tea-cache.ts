import type { PolynomialArtifact } from '../artifact.ts';
import { differencesOf, refuseOtherRun } from '../fingerprint.ts';
import type { PlanSetting } from '../plan.ts';
import type { DynamicPolicy } from '../policy.ts';
import { type TeaCacheOptions, teaCache } from './tea-cache.ts';

/**
 * TeaCache with a polynomial that was fitted to the model. As the authors use theirs it serves any sampler and number of
 * steps of that model.
 *
 * Its `begin` throws an OptionError where the weights are others.
 */
export function calibratedTeaCache(
  { method, fingerprint: { sha256 }, coefficients }: PolynomialArtifact,
  options: Omit<TeaCacheOptions, 'coefficients'> = {},
): DynamicPolicy {
  const policy = teaCache({ ...options, coefficients });
  return {
    name: policy.name,
    begin: (setting: PlanSetting) => {
      refuseOtherRun(method, differencesOf({ sha256 }, setting));
      return policy.begin(setting);
    },
  };
}
