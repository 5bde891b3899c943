import { nativeCache } from '../native/setup-cache.ts';
import { needsOf } from '../native/setup-native.ts';
import { recipeForThisMachine } from '../native/setup-platform.ts';
import { findObstacles } from '../native/setup-tools.ts';
import { findTfjsNode } from '../native/tfjs-node-package.ts';
import { type Finding, OK } from './finding.ts';

/** Whether `setup-native` could do its work here. */
export interface SetUpCheck extends Finding {
  readonly possible: boolean;
  /** What it would need and does not find. */
  readonly missing: readonly string[];
}

/** @param isWanted whether no TensorFlow works yet; else what is missing is no fault */
export async function checkSetUp(
  userFolder: string,
  cacheDir: string | undefined,
  isWanted: boolean,
): Promise<SetUpCheck> {
  const found = recipeForThisMachine();
  if ('refusal' in found) return { possible: false, missing: [], status: 'absent', problem: found.refusal };
  const installed = findTfjsNode(userFolder).find(({ name }) => name === found.recipe.npmPackage);
  const needs = needsOf(found.recipe, nativeCache(found.recipe, cacheDir), installed);
  const { missing, command } = await findObstacles(needs);
  const about = { possible: missing.length === 0, missing };
  if (about.possible) return { ...about, ...OK };
  const problem = `needs ${new Intl.ListFormat('en').format(missing)}`;
  if (!isWanted) return { ...about, status: 'absent', problem };
  const fix = command ? `On Debian or Ubuntu run \`${command}\`.` : 'Free some space, then run the set-up.';
  return { ...about, status: 'warning', problem, fix };
}
