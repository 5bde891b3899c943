import * as z from 'zod';
import { OptionError } from '../errors.ts';
import type { PlanSetting } from './plan.ts';

/** Of a run, what decides whether something calibrated elsewhere is true of it. What is unknown is left out. */
export interface RunIdentity {
  /** Of the weights' files. */
  readonly sha256?: readonly string[] | undefined;
  readonly sampler?: string | undefined;
  readonly guidanceScale?: number | undefined;
  /** Of what the model paints, in pixels, where it paints more than one size. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

export interface RunFingerprint extends RunIdentity {
  readonly numInferenceSteps?: number | undefined;
  /** 999 → 0, one a step. */
  readonly timesteps?: readonly number[] | undefined;
}

const size = z.number().int().positive();
export const FINGERPRINT = z.strictObject({
  sha256: z.array(z.string()).optional(),
  sampler: z.string().optional(),
  numInferenceSteps: size.optional(),
  timesteps: z.array(z.number()).optional(),
  guidanceScale: z.number().optional(),
  width: size.optional(),
  height: size.optional(),
});

/** All that is known of a run. */
export function fingerprintOf({ run = {}, numInferenceSteps, timesteps }: PlanSetting): RunFingerprint {
  const { sha256 = [], sampler, guidanceScale, width, height } = run;
  return {
    ...(sha256.length > 0 && { sha256 }),
    ...(sampler !== undefined && { sampler }),
    ...{ numInferenceSteps, timesteps },
    ...(guidanceScale !== undefined && { guidanceScale }),
    ...(width !== undefined && height !== undefined && { width, height }),
  };
}

/** In the order in which a user would look for a difference. */
const SHOWN: readonly (readonly [keyof RunFingerprint, string])[] = [
  ['sha256', 'weights'],
  ['sampler', 'sampler'],
  ['numInferenceSteps', 'steps'],
  ['timesteps', 'timesteps'],
  ['guidanceScale', 'guidance scale'],
  ['width', 'width'],
  ['height', 'height'],
];

/** How a run differs from the one that was calibrated, as far as both are known; empty where it fits. */
export function differencesOf(made: RunFingerprint, setting: PlanSetting): readonly string[] {
  const run = fingerprintOf(setting);
  return SHOWN.flatMap(([key, name]) => {
    const [of, got] = [made[key], run[key]];
    if (of === undefined || got === undefined || comparable(of) === comparable(got)) return [];
    const isList = typeof of === 'object';
    return [isList ? `other ${name}` : `${name} ${of}, not ${got}`];
  });
}

function comparable(value: string | number | readonly (string | number)[]): string {
  const isHashes = typeof value === 'object' && typeof value[0] === 'string';
  return JSON.stringify(isHashes ? [...value].sort() : value);
}

/** @throws OptionError naming what differs between a run and the one that a method was calibrated on */
export function refuseOtherRun(method: string, differences: readonly string[]): void {
  if (differences.length === 0) return;
  throw new OptionError(
    `cache ${method}: calibrated for another run: ${differences.join('; ')}; calibrate for this one ("delta-dit calibrate"), or sample as that run did`,
  );
}
