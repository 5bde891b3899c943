/** All that repeats a picture, as it is written into the picture. */
import * as z from 'zod';
import { WEIGHT_DTYPES } from '../checkpoint/hold.ts';
import { quoted } from '../checkpoint/quoted.ts';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
import { FormatError, OptionError } from '../errors.ts';
import { SAMPLER_NAMES } from '../schedulers/samplers.ts';
import { MAX_PROMPT_LENGTH } from '../tokenizers/prompt-length.ts';

/** Pictures of one run: far beyond what anyone waits for; more is a slip of the keyboard, or a hostile file. */
export const MAX_PICTURES = 100_000;

/** The keyword of the JSON that holds every setting of a picture. */
export const SETTINGS_KEYWORD = 'delta-dit';

/** Far more than any model was trained on. */
const MAX_TIMESTEPS = 100_000;

/** Raised when a reader of today could not repeat a picture from what is written. */
const FORMAT = 1;

const whole = z.number().int().nonnegative();
const size = z.number().int().positive();
/** Shown in messages, so that nothing in a file of a stranger may steer the terminal. */
const text = z.string().regex(/^\P{Cc}+$/u, 'expected text without control characters');

/** What a weights file does not say of itself. */
const LAYOUT = {
  vae: text.optional(),
  vaeScalingFactor: z.number().positive().optional(),
  vaeNormGroups: size.optional(),
  labels: text.optional(),
  numHeads: size.optional(),
  inputSize: size.optional(),
  interpolationScale: z.number().positive().optional(),
  textEncoder: text.optional(),
  tokenizer: text.optional(),
  key: text.optional(),
};

const COMMON = {
  format: z.literal(FORMAT),
  /** Of the delta-dit that made the picture. */
  version: text,
  /** As given. */
  model: text,
  ...LAYOUT,
  /** Of the weights' files, where the checkpoint states them. */
  sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
  numerics: z.enum(['original', 'diffusers']),
  /** Columns of the picture. */
  seeds: z.array(whole).min(1).max(MAX_PICTURES),
  numInferenceSteps: size,
  /** Where they were given, those of the steps. */
  timesteps: z.array(whole).min(1).max(MAX_TIMESTEPS).optional(),
  guidanceScale: z.number(),
  sampler: z.enum(SAMPLER_NAMES),
  eta: z.number(),
  /** As `--cache` takes it; null without. */
  cache: text.nullable(),
  cacheOptions: z.array(text),
  /** Whether the picture is a sheet of uncached and cached. */
  compare: z.boolean(),
  /** Pictures that ran through the model together. */
  batchSize: size,
  /** Of one picture, in pixels. */
  width: size,
  height: size,
  backend: text,
  /** Of the weights in memory. */
  dtype: z.enum(WEIGHT_DTYPES),
  rng: z.literal('torch-cpu'),
};

const OF_CLASSES = z.object({
  pipeline: z.literal('DiTPipeline').default('DiTPipeline'),
  ...COMMON,
  /** Rows of the picture, as given; and their numbers. */
  classes: z.array(text).min(1).max(MAX_PICTURES),
  classLabels: z.array(whole),
});

/** Prompts have lines of their own at times; they are shown quoted. */
const prompt = z.string().max(MAX_PROMPT_LENGTH);

const OF_PROMPTS = z.object({
  pipeline: z.literal('PixArtPipeline'),
  ...COMMON,
  /** Rows of the picture, as given, with their switches. */
  prompts: z.array(prompt).min(1).max(MAX_PICTURES),
  /** As given; null where none was. */
  negativePrompt: prompt.nullable(),
  cleanPrompt: z.boolean(),
  /** The file that the prompts came from, encoded. */
  embeds: text.optional(),
});

export type ClassSettings = z.infer<typeof OF_CLASSES>;
export type PromptStoredSettings = z.infer<typeof OF_PROMPTS>;

/** Everything that repeats a picture. */
export type StoredSettings = ClassSettings | PromptStoredSettings;

type Fixed = 'format' | 'version' | 'rng';

/** Settings as delta-dit writes them. @param version of it */
export function settingsOfFormat<S extends StoredSettings>(settings: Omit<S, Fixed>, version: string): S {
  return { format: FORMAT, version, ...settings, rng: 'torch-cpu' } as unknown as S;
}

/** Of the settings, or of the options of a run, what a weights file does not say of itself. */
export function storedLayout(settings: Partial<LayoutSettings>): Partial<LayoutSettings> {
  const { vae, vaeScalingFactor, vaeNormGroups, labels, numHeads, inputSize } = settings;
  const { interpolationScale, textEncoder, tokenizer, key } = settings;
  const all = { vae, vaeScalingFactor, vaeNormGroups, labels, numHeads, inputSize };
  return { ...all, interpolationScale, textEncoder, tokenizer, key };
}

export type LayoutSettings = Pick<ClassSettings, keyof typeof LAYOUT>;

/**
 * Reads them back. @param name of the picture, for messages @param reader the version of the delta-dit that reads
 * @throws FormatError when they are damaged; OptionError when they are those of a newer delta-dit
 */
export function parsePictureSettings(name: string, json: string, reader: string): StoredSettings {
  const where = `${name}: its settings`;
  const { format, version, ...rest } = parseStrictJson(where, json);
  if (typeof format === 'number' && format > FORMAT) {
    throw new OptionError(
      `${where} are of format ${format}, written by delta-dit ${quoted(version)}; this is ${reader}, which reads format ${FORMAT}. Update delta-dit`,
    );
  }
  const schema = rest.pipeline === 'PixArtPipeline' ? OF_PROMPTS : OF_CLASSES;
  const parsed = schema.safeParse({ format, version, ...rest });
  if (parsed.success) return parsed.data;
  throw new FormatError(
    `${where} are damaged, or of a version that was never released; give the options themselves\n${z.prettifyError(parsed.error)}`,
  );
}
