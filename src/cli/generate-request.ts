import type { Command } from 'commander';
import {
  type CachePolicy,
  MAX_PICTURES,
  OptionError,
  type StoredSettings,
  type SubjectKind,
  storedLayout,
} from '../index.ts';
import { wantedCache } from './cache-options.ts';
import { findModel } from './find-model.ts';
import type { GenerateOptions, PictureOptions } from './generate-options.ts';
import { unreadLayout } from './model-options.ts';
import type { NamedPicture } from './output.ts';
import type { WantedSize } from './prompt-switches.ts';
import { BATCH_SIZE } from './run-jobs.ts';
import { expandSeeds } from './seeds.ts';
import { readSettings } from './stored-settings.ts';
import { type Refused, type Subject, subjectsOf } from './subjects.ts';

/** A picture of the request. */
export interface RequestedPicture extends NamedPicture {
  /** What the model is told, which a prompt's switches are no part of. */
  readonly text: string;
  readonly size: WantedSize | undefined;
}

/** What `generate` is asked to make, from the command line and from the settings of a picture. */
export interface GenerateRequest {
  /** With what the picture says, where the command line says nothing. */
  readonly options: PictureOptions;
  readonly kind: SubjectKind;
  /** Rows. */
  readonly subjects: readonly Subject[];
  /** Of a file, lines that are left out. */
  readonly refused: readonly Refused[];
  /** Columns. */
  readonly seeds: readonly number[];
  /** One picture each, row by row. */
  readonly pictures: readonly RequestedPicture[];
  /** Pictures, those counted that are left out. */
  readonly total: number;
  readonly policy: CachePolicy | 'auto' | undefined;
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
  return { options: { ...options, ...(await optionsOf(stored, given)), ...given, cacheOption }, stored };
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

/** @throws OptionError for what cannot be made, whatever the model; FileError or FormatError for a file of prompts. */
export async function requested(given: PictureOptions): Promise<GenerateRequest> {
  const { kind, all: subjects, refused, count, savedNegative } = await subjectsOf(given);
  const { negativePrompt = savedNegative } = given;
  const options = negativePrompt === undefined ? given : { ...given, negativePrompt };
  const { compare = false, batchSize = BATCH_SIZE } = options;
  if (batchSize < 1) throw new OptionError(`--batch-size: expected at least 1, got ${batchSize}`);
  const policy = await requestedPolicy(options);
  if (compare && !policy) throw new OptionError('--compare: needs a cache method; leave out --cache none');
  const seeds = expandSeeds(options.seed, options.count ?? 1);
  const total = count * seeds.length;
  if (total > MAX_PICTURES)
    throw new OptionError(`--${kind}: expected at most ${MAX_PICTURES} pictures in one run, got ${total}`);
  const pictures = subjects.flatMap(({ given, text, size, place }) =>
    seeds.map((seed, i) => ({ subject: given, text, size, seed, index: place * seeds.length + i })),
  );
  return { options, kind, subjects, refused, seeds, pictures, total, policy, compare, batchSize };
}

export function requestedPolicy({
  cache,
  cacheOption = [],
  compare,
}: PictureOptions): Promise<CachePolicy | 'auto' | undefined> {
  return wantedCache(cache ?? (compare ? 'delta-dit' : undefined), cacheOption);
}

/** The options that made a picture, but for those that one that is given makes void. */
async function optionsOf(stored: StoredSettings, given: Partial<GenerateOptions>): Promise<Partial<GenerateOptions>> {
  return {
    ...(await layoutOf(stored, given)),
    ...subjectsOptions(stored, given),
    numerics: stored.numerics,
    dtype: stored.dtype,
    // --count alone counts on from the first seed
    seed: given.count === undefined ? stored.seeds : stored.seeds.slice(0, 1),
    ...stepsOptions(stored, given),
    ...(given.guidanceScale === undefined ? { cfgScale: stored.guidanceScale } : {}),
    sampler: stored.sampler,
    ...(given.sampler === undefined ? { eta: stored.eta } : {}),
    cache: stored.cache ?? 'none',
    compare: stored.compare && given.cache !== 'none',
    batchSize: stored.batchSize,
  };
}

function stepsOptions(stored: StoredSettings, given: Partial<GenerateOptions>): Partial<GenerateOptions> {
  if (given.steps !== undefined || given.timesteps !== undefined) return {};
  return stored.timesteps ? { timesteps: stored.timesteps } : { steps: stored.numInferenceSteps };
}

const SUBJECT_OPTIONS = ['class', 'prompt', 'promptFile', 'embeds'] as const;

function subjectsOptions(stored: StoredSettings, given: Partial<GenerateOptions>): Partial<GenerateOptions> {
  const own = SUBJECT_OPTIONS.every((name) => given[name] === undefined);
  if (stored.pipeline === 'DiTPipeline') return own ? { class: stored.classes } : {};
  const { prompts, embeds, negativePrompt, cleanPrompt, width, height } = stored;
  const sized = given.ar !== undefined || given.width !== undefined || given.height !== undefined;
  return {
    ...(own ? { prompt: prompts, ...(embeds === undefined ? {} : { embeds }) } : {}),
    ...(negativePrompt === null ? {} : { negativePrompt }),
    cleanPrompt,
    ...(sized ? {} : { width, height }),
  };
}

/** The model, and what its files did not say; a model that is given may be the same one, converted since. */
async function layoutOf(stored: StoredSettings, given: Partial<GenerateOptions>): Promise<Partial<GenerateOptions>> {
  const unread = given.model === undefined ? {} : unreadLayout(await findModel(given.model, given));
  const read = Object.entries(storedLayout(stored)).filter(([name, value]) => value !== undefined && !(name in unread));
  return { model: stored.model, ...Object.fromEntries(read) };
}
