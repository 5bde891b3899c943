import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageVersion } from '../../src/cli/package-folder.ts';
import { settingsOfPicture } from '../../src/cli/settings-text.ts';
import { parseSettings, readSettings } from '../../src/cli/stored-settings.ts';
import { FileError, FormatError, OptionError } from '../../src/errors.ts';
import {
  type ClassSettings,
  type PromptStoredSettings,
  settingsOfFormat,
} from '../../src/pipelines/picture-settings.ts';
import { pictureTexts } from '../../src/pipelines/picture-texts.ts';
import { encodePng } from '../../src/pipelines/png.ts';
import { SAMPLER_NAMES } from '../../src/schedulers/samplers.ts';
import { Draws } from '../support/draws.ts';

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TEXTS = ['heart', 'cat face', 'x, "y": z', 'Größe', '猫', '🙂', '\\', "it's", '../a b/c', '-1', 'NaN', '{}'];

/** Only fields that are there, as JSON has them. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

function madeUpCommon(draws: Draws) {
  const text = () => draws.one(TEXTS);
  const cache = draws.maybe(text) ?? null;
  return {
    model: text(),
    vae: draws.maybe(text),
    vaeScalingFactor: draws.maybe(() => draws.whole(1, 1000) / 997),
    vaeNormGroups: draws.maybe(() => draws.whole(1, 64)),
    labels: draws.maybe(text),
    numHeads: draws.maybe(() => draws.whole(1, 64)),
    inputSize: draws.maybe(() => draws.whole(1, 128)),
    interpolationScale: draws.maybe(() => draws.whole(1, 4)),
    textEncoder: draws.maybe(text),
    tokenizer: draws.maybe(text),
    key: draws.maybe(text),
    sha256: draws.many(0, 2, () => draws.one(['0', 'a', '9']).repeat(64)),
    numerics: draws.one(['original', 'diffusers'] as const),
    seeds: draws.many(1, 4, () => draws.one([0, 7, 2 ** 32, 2 ** 53 - 1])),
    numInferenceSteps: draws.whole(1, 1000),
    timesteps: draws.maybe(() => draws.many(1, 4, () => draws.whole(0, 999))),
    guidanceScale: draws.whole(-1000, 1000) / 7,
    sampler: draws.one(SAMPLER_NAMES),
    eta: draws.whole(0, 10) / 10,
    cache,
    cacheOptions: cache === null ? [] : draws.many(0, 3, () => draws.one(['interval=2', 'budget=0.625'])),
    compare: draws.one([true, false]),
    batchSize: draws.whole(1, 16),
    width: draws.whole(1, 2048),
    height: draws.whole(1, 2048),
    backend: text(),
    dtype: draws.one(['float32', 'bfloat16', 'float16'] as const),
  };
}

function madeUpClasses(draws: Draws): ClassSettings {
  const classes = draws.many(1, 3, () => draws.one(TEXTS));
  const classLabels = classes.map(() => draws.whole(0, 999));
  return defined(
    settingsOfFormat({ pipeline: 'DiTPipeline', ...madeUpCommon(draws), classes, classLabels }, packageVersion()),
  );
}

const PROMPTS = [...TEXTS, '', 'a cat\non two lines', '\u001b[2J', 'a fox --ar 3:4', 'x'.repeat(10_000)];

function madeUpPrompts(draws: Draws): PromptStoredSettings {
  return defined(
    settingsOfFormat(
      {
        pipeline: 'PixArtPipeline',
        ...madeUpCommon(draws),
        prompts: draws.many(1, 3, () => draws.one(PROMPTS)),
        negativePrompt: draws.maybe(() => draws.one(PROMPTS)) ?? null,
        cleanPrompt: draws.one([true, false]),
        embeds: draws.maybe(() => draws.one(TEXTS)),
      },
      packageVersion(),
    ),
  );
}

const PIXEL = { width: 1, height: 1, data: new Uint8ClampedArray([1, 2, 3, 255]) };
async function pngWith(texts: Record<string, string>): Promise<string> {
  const path = join(folder, 'picture.png');
  writeFileSync(path, await encodePng(PIXEL, texts));
  return path;
}

describe('settings in a PNG', () => {
  it('are read as they were written, whatever they are', async () => {
    const draws = new Draws(1);
    for (let i = 0; i < 100; i++) {
      const settings = i % 2 === 0 ? madeUpClasses(draws) : madeUpPrompts(draws);
      expect(await readSettings(await pngWith(pictureTexts(settings)))).toEqual(settings);
    }
  });

  it('of one picture of a sheet are its row and column', () => {
    const sheet = {
      ...madeUpClasses(new Draws(2)),
      classes: ['heart', 'cat face'],
      classLabels: [4, 2],
      seeds: [7, 8, 9],
    };
    expect(settingsOfPicture(sheet, 4)).toEqual({ ...sheet, classes: ['cat face'], classLabels: [2], seeds: [8] });
  });

  it('of one picture of prompts are its prompt, seed and size', () => {
    const sheet = { ...madeUpPrompts(new Draws(4)), prompts: ['a', 'b'], seeds: [7, 8], width: 64, height: 64 };
    const own = { prompts: ['b'], seeds: [7], width: 96, height: 32 };
    expect(settingsOfPicture(sheet, 2, { width: 96, height: 32 })).toEqual({ ...sheet, ...own });
    expect(settingsOfPicture(sheet, 1)).toEqual({ ...sheet, prompts: ['a'], seeds: [8] });
  });

  it('of before there were prompts are of classes', async () => {
    const { pipeline, ...settings } = madeUpClasses(new Draws(5));
    expect(pipeline).toBe('DiTPipeline');
    const path = await pngWith({ 'delta-dit': JSON.stringify(settings) });
    expect(await readSettings(path)).toEqual({ pipeline, ...settings });
  });

  it('stand beside text as galleries read it', () => {
    const settings = {
      ...madeUpClasses(new Draws(3)),
      classes: ['heart', 'cat face'],
      numInferenceSteps: 20,
      timesteps: undefined,
      sampler: 'ddim' as const,
      eta: 0,
      guidanceScale: 3,
      seeds: [7, 8],
      width: 64,
      height: 48,
      model: 'a, b',
      cache: 'delta-dit',
    };
    expect(pictureTexts(settings).parameters).toBe(
      `heart, cat face\nSteps: 20, Sampler: DDIM, CFG scale: 3, Seed: 7, Size: 64x48, Model: "a, b", Cache: delta-dit, Version: delta-dit ${packageVersion()}`,
    );
    const placed = { ...settings, numInferenceSteps: 2, timesteps: [999, 31], sampler: 'unipc' as const };
    expect(pictureTexts(placed).parameters).toContain('\nSteps: 2, Timesteps: "999, 31", Sampler: UniPC, CFG scale: 3');
  });

  it('tell galleries the negative prompt, too', () => {
    const prompts = { prompts: ['a red fox'], negativePrompt: 'snow' };
    const { parameters } = pictureTexts({ ...madeUpPrompts(new Draws(6)), ...prompts });
    expect(parameters?.split('\n').slice(0, 2)).toEqual(['a red fox', 'Negative prompt: snow']);
  });
});

describe('readSettings refuses', () => {
  const refuses = async (
    path: string,
    error: typeof FileError | typeof FormatError | typeof OptionError,
    text: RegExp,
  ) => {
    const read = readSettings(path);
    await expect(read).rejects.toThrow(error);
    await expect(read).rejects.toThrow(text);
  };

  it('a file that is not there', () =>
    refuses(join(folder, 'none.png'), FileError, /none\.png: could not be read \(ENOENT.*give the path of a PNG file/));

  it('a file that is no PNG, or half of one', async () => {
    const path = join(folder, 'text.png');
    writeFileSync(path, 'not a picture');
    await refuses(path, FormatError, /text\.png: is not a PNG file; give one that delta-dit wrote/);
    const whole = await encodePng(PIXEL, {});
    writeFileSync(path, whole.subarray(0, whole.length - 20));
    await refuses(path, FormatError, /cut short at byte \d+; get it again/);
  });

  it('a PNG of another program', async () =>
    refuses(
      await pngWith({ parameters: 'a cat\nSteps: 20' }),
      OptionError,
      /carries no settings of delta-dit; .*Give the options/,
    ));

  it('settings of a newer delta-dit', async () =>
    refuses(
      await pngWith({ 'delta-dit': JSON.stringify({ format: 2, version: '9.1.0' }) }),
      OptionError,
      /settings are of format 2, written by delta-dit "9\.1\.0"; this is .*, which reads format 1\. Update delta-dit/,
    ));

  const damaged: [string, (settings: ClassSettings) => unknown, RegExp][] = [
    ['half of the JSON', (settings) => JSON.stringify(settings).slice(0, 100), /expected JSON/],
    ['a list', () => '[]', /expected a JSON object/],
    ['a key twice', () => '{"format":1,"format":1}', /"format" occurs twice/],
    ['no format', ({ format, ...rest }) => rest, /are damaged, .*give the options themselves/],
    ['an unknown sampler', (settings) => ({ ...settings, sampler: 'euler' }), /→ at sampler/],
    ['timesteps of text', (settings) => ({ ...settings, timesteps: ['999'] }), /→ at timesteps\[0\]/],
    ['no timestep', (settings) => ({ ...settings, timesteps: [] }), /→ at timesteps/],
    ['half a step', (settings) => ({ ...settings, numInferenceSteps: 2.5 }), /→ at numInferenceSteps/],
    ['a negative seed', (settings) => ({ ...settings, seeds: [-1] }), /→ at seeds\[0\]/],
    ['no class', (settings) => ({ ...settings, classes: [] }), /→ at classes/],
    ['a class that steers the terminal', (settings) => ({ ...settings, classes: ['\u001b[2J'] }), /→ at classes\[0\]/],
    ['classes without end', (settings) => ({ ...settings, classes: Array(100_001).fill('a') }), /→ at classes/],
  ];
  it.each(damaged)('%s', async (_, change, text) => {
    const changed = change(madeUpClasses(new Draws(4)));
    const json = typeof changed === 'string' ? changed : JSON.stringify(changed);
    await refuses(await pngWith({ 'delta-dit': json }), FormatError, text);
  });
});

describe('parseSettings', () => {
  it('never ends in another error, however its text is broken', () => {
    const draws = new Draws(5);
    const whole = JSON.stringify(madeUpClasses(draws));
    for (let i = 0; i < 300; i++) {
      const at = draws.whole(0, whole.length - 1);
      const broken = whole.slice(0, at) + draws.one(['', '"', '}', '0', 'é', 'null', '\\']) + whole.slice(at + 1);
      try {
        parseSettings('x.png', broken);
      } catch (error) {
        expect(error instanceof FormatError || error instanceof OptionError).toBe(true);
      }
    }
  });
});
