import * as z from 'zod';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
import { FormatError } from '../errors.ts';
import { FINGERPRINT, type RunFingerprint } from './fingerprint.ts';
import type { CachePlan } from './plan.ts';
import { planFromJson, planToJson } from './plan-json.ts';

/** What a calibration, a training or a search found, for one model and one way to sample. */
export interface Calibrated {
  /** The cache method, shown in reports. */
  readonly method: string;
  /** What it is true of. */
  readonly fingerprint: RunFingerprint;
  /** What it was made with, such as a threshold. */
  readonly options?: Readonly<Record<string, number>> | undefined;
  /** What was measured for it, whatever that is. */
  readonly measured?: unknown;
}

/** A schedule of steps × sites: `tablePolicy` follows it. */
export interface TableArtifact extends Calibrated {
  readonly plan: CachePlan;
}

/** A polynomial, the coefficient of the highest power first, as `numpy.polyfit` gives it: TeaCache's. */
export interface PolynomialArtifact extends Calibrated {
  readonly coefficients: readonly number[];
}

export type CacheArtifact = TableArtifact | PolynomialArtifact;

const FORMAT = 'delta-dit-cache';
/** Raised when a reader of today could not follow what is written. */
const VERSION = 1;

const ARTIFACT = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  method: z.string().regex(/^[\w.-]{1,64}$/, 'expected a name of letters, digits, dots and dashes'),
  fingerprint: FINGERPRINT,
  options: z.record(z.string(), z.number()).optional(),
  plan: z.unknown().optional(),
  coefficients: z.array(z.number()).min(1).optional(),
  measured: z.unknown().optional(),
});

export function hasPlan(artifact: CacheArtifact): artifact is TableArtifact {
  return 'plan' in artifact;
}

/** An artifact as text, a step a line. */
export function artifactJson(artifact: CacheArtifact): string {
  const { method, fingerprint, options, measured } = artifact;
  const found = hasPlan(artifact) ? { plan: planToJson(artifact.plan) } : { coefficients: artifact.coefficients };
  const written = { format: FORMAT, version: VERSION, method, fingerprint, options, ...found, measured };
  return `${JSON.stringify(written, null, 1).replace(NUMBERS_OF_A_LIST, (list) => list.replace(/\s+/g, ' '))}\n`;
}

/** Numbers that `JSON.stringify` gives a line each. */
const NUMBERS_OF_A_LIST = /\[(?:\s*(?:-?[\d.]+(?:e[+-]?\d+)?|null),?)+\s*\]/g;

/**
 * Reads what `artifactJson` writes.
 * @param where of the text, for errors
 * @throws FormatError when it is damaged, of a newer version, or something else
 */
export function parseArtifact(where: string, text: string): CacheArtifact {
  const json = parseStrictJson(where, text);
  if (json.format !== FORMAT)
    throw new FormatError(`${where}: not a file of a cache method; "delta-dit calibrate" makes one`);
  if (typeof json.version === 'number' && json.version > VERSION)
    throw new FormatError(`${where}: of version ${json.version}, this reads ${VERSION}; update delta-dit`);
  const parsed = ARTIFACT.safeParse(json);
  if (!parsed.success) throw new FormatError(`${where}: damaged; make it again\n${z.prettifyError(parsed.error)}`);
  const { format: _, version: __, plan, coefficients, ...rest } = parsed.data;
  if ((plan === undefined) === (coefficients === undefined))
    throw new FormatError(`${where}: expected a plan or coefficients, one of the two; make it again`);
  return coefficients ? { ...rest, coefficients } : { ...rest, plan: planFromJson(where, plan) };
}
