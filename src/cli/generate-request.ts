import type { Command } from 'commander';
import { type CachePolicy, OptionError } from '../index.ts';
import { cachePolicy } from './cache-options.ts';
import type { GenerateOptions, PictureOptions } from './generate-options.ts';
import { modelPath, unreadLayout } from './model-options.ts';
import { BATCH_SIZE, type Job } from './run-jobs.ts';
import { expandSeeds, MAX_PICTURES } from './seeds.ts';
import { readSettings, type StoredSettings } from './stored-settings.ts';

/** What `generate` is asked to make, from the command line and from the settings of a picture. */
export interface GenerateRequest {
  /** With what the picture says, where the command line says nothing. */
  readonly options: PictureOptions;
  /** Rows. */
  readonly classes: readonly string[];
  /** Columns. */
  readonly seeds: readonly number[];
  /** One picture each, row by row. */
  readonly jobs: readonly Job[];
  readonly policy: CachePolicy | undefined;
  readonly compare: boolean;
  readonly batchSize: number;
}

/**
 * The options of a run: those on the command line, then those of the picture of `--from-image`, then the defaults.
 * @throws as `readSettings`
 */
export async function resolved(options: GenerateOptions, command: Command): Promise<ResolvedOptions> {
  if (options.fromImage === undefined) return { options, stored: undefined };
  const stored = await readSettings(options.fromImage);
  const given = givenOptions(command);
  const cacheOption = [...(given.cache === undefined ? stored.cacheOptions : []), ...(given.cacheOption ?? [])];
  return { options: { ...options, ...optionsOf(stored, given), ...given, cacheOption }, stored };
}

export interface ResolvedOptions {
  readonly options: GenerateOptions;
  /** Of the picture that is repeated, if one is. */
  readonly stored: StoredSettings | undefined;
}

/** The options that stand on the command line; commander fills in the others' defaults. */
function givenOptions(command: Command): Partial<GenerateOptions> {
  const given = Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === 'cli');
  return Object.fromEntries(given);
}

/** @throws OptionError for what cannot be made, whatever the model. */
export function requested(options: PictureOptions): GenerateRequest {
  const { class: classes, compare = false, batchSize = BATCH_SIZE } = options;
  if (!classes)
    throw new OptionError('--class: expected a class name or number; "delta-dit inspect" lists a checkpoint’s');
  if (batchSize < 1) throw new OptionError(`--batch-size: expected at least 1, got ${batchSize}`);
  const policy = requestedPolicy(options);
  if (compare && !policy) throw new OptionError('--compare: needs a cache method; leave out --cache none');
  const seeds = expandSeeds(options.seed, options.count ?? 1);
  const count = classes.length * seeds.length;
  if (count > MAX_PICTURES)
    throw new OptionError(`--class: expected at most ${MAX_PICTURES} pictures in one run, got ${count}`);
  const jobs = classes.flatMap((label) => seeds.map((seed) => ({ label, seed })));
  return { options, classes, seeds, jobs, policy, compare, batchSize };
}

export function requestedPolicy({ cache, cacheOption = [], compare }: PictureOptions): CachePolicy | undefined {
  return cachePolicy(cache ?? (compare ? 'delta-dit' : undefined), cacheOption);
}

/** The options that made a picture, but for those that one that is given makes void. */
function optionsOf(stored: StoredSettings, given: Partial<GenerateOptions>): Partial<GenerateOptions> {
  return {
    ...layoutOf(stored, given),
    numerics: stored.numerics,
    class: stored.classes,
    // --count alone counts on from the first seed
    seed: given.count === undefined ? stored.seeds : stored.seeds.slice(0, 1),
    steps: stored.numInferenceSteps,
    ...(given.guidanceScale === undefined ? { cfgScale: stored.guidanceScale } : {}),
    sampler: stored.sampler,
    ...(given.sampler === undefined ? { eta: stored.eta } : {}),
    cache: stored.cache ?? 'none',
    compare: stored.compare && given.cache !== 'none',
    batchSize: stored.batchSize,
  };
}

/** The model, and what its files did not say; a model that is given may be the same one, converted since. */
function layoutOf(stored: StoredSettings, given: Partial<GenerateOptions>): Partial<GenerateOptions> {
  const { model, vae, vaeScalingFactor, vaeNormGroups, labels, numHeads, inputSize, key } = stored;
  const layout = { vae, vaeScalingFactor, vaeNormGroups, labels, numHeads, inputSize, key };
  const unread = given.model === undefined ? {} : unreadLayout(modelPath(given.model));
  const read = Object.entries(layout).filter(([name, value]) => value !== undefined && !(name in unread));
  return { model, ...Object.fromEntries(read) };
}
