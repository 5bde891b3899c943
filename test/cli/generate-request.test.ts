import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { withGenerateOptions } from '../../src/cli/generate-options.ts';
import { type GenerateRequest, requested, resolved } from '../../src/cli/generate-request.ts';
import { withModelOptions } from '../../src/cli/model-options.ts';
import {
  type ClassSettings,
  type PromptStoredSettings,
  settingsOfFormat,
} from '../../src/pipelines/picture-settings.ts';
import { pictureTexts } from '../../src/pipelines/picture-texts.ts';
import { encodePng } from '../../src/pipelines/png.ts';

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-request-'));
const picture = join(folder, 'picture.png');
afterAll(() => rmSync(folder, { recursive: true }));

const STORED = settingsOfFormat<ClassSettings>(
  {
    pipeline: 'DiTPipeline',
    model: 'some/weights.pt',
    vae: 'some/vae',
    key: 'model',
    numHeads: 3,
    sha256: [],
    numerics: 'original',
    classes: ['heart', 'cat face'],
    classLabels: [4, 2],
    seeds: [7, 9],
    numInferenceSteps: 20,
    guidanceScale: 3,
    sampler: 'ddim',
    eta: 0.5,
    cache: 'delta-dit',
    cacheOptions: ['interval=2', 'cachedBlocks=21'],
    compare: false,
    batchSize: 4,
    width: 64,
    height: 64,
    backend: 'wasm',
    dtype: 'float32',
  },
  '1.2.3',
);

/** The request that the program would run. */
async function request(...args: string[]): Promise<GenerateRequest> {
  let result: GenerateRequest | undefined;
  const command = withGenerateOptions(withModelOptions(new Command('generate')));
  command.exitOverride().action(async (options, self) => {
    result = await requested((await resolved(options, self)).options);
  });
  await command.parseAsync(args, { from: 'user' });
  if (!result) throw new Error('the command did not run');
  return result;
}

async function repeated(
  change: Partial<ClassSettings> | PromptStoredSettings,
  ...args: string[]
): Promise<GenerateRequest> {
  const pixel = { width: 1, height: 1, data: new Uint8ClampedArray(4) };
  const settings = change.pipeline === 'PixArtPipeline' ? change : { ...STORED, ...change };
  writeFileSync(picture, await encodePng(pixel, pictureTexts(settings)));
  return request('--from-image', picture, ...args);
}

describe('a request of the command line', () => {
  it('makes each class with each seed, row by row', async () => {
    const given = ['--class', 'a', '--class', 'b', '-s', '5', '-s', '1'];
    const { pictures, batchSize, policy, compare } = await request(...given);
    expect(pictures.map(({ text, seed }) => `${text}${seed}`)).toEqual(['a5', 'a1', 'b5', 'b1']);
    expect({ batchSize, policy, compare }).toEqual({ batchSize: 8, policy: undefined, compare: false });
  });

  it('has the defaults that --help tells', async () => {
    const { options, seeds } = await request('--class', 'a');
    expect(options).toMatchObject({ metadata: true });
    expect(seeds).toHaveLength(1);
  });
});

describe('a request of a picture', () => {
  it('is all that made it', async () => {
    const { options, subjects, seeds, batchSize, policy, compare } = await repeated({});
    expect({ classes: subjects.map(({ text }) => text), seeds, batchSize, compare }).toEqual({
      classes: ['heart', 'cat face'],
      seeds: [7, 9],
      batchSize: 4,
      compare: false,
    });
    expect(policy).toMatchObject({ name: 'delta-dit' });
    expect(options).toMatchObject({
      model: 'some/weights.pt',
      vae: 'some/vae',
      key: 'model',
      numHeads: 3,
      numerics: 'original',
      steps: 20,
      cfgScale: 3,
      sampler: 'ddim',
      eta: 0.5,
      cacheOption: ['interval=2', 'cachedBlocks=21'],
    });
    expect(options).not.toHaveProperty('labels');
  });

  it('gives way to options beside it', async () => {
    const args = ['--class', 'sun', '--seed', '1', '--steps', '4', '--guidance-scale', '2', '--batch-size', '1'];
    const { options, pictures, batchSize } = await repeated({}, ...args, '-m', picture, '--key', 'ema');
    expect(pictures).toEqual([{ subject: 'sun', text: 'sun', size: undefined, seed: 1, index: 0 }]);
    expect(options).toMatchObject({ model: picture, key: 'ema', vae: 'some/vae', steps: 4, guidanceScale: 2 });
    expect(options.cfgScale).toBeUndefined();
    expect(batchSize).toBe(1);
  });

  it('counts on from its first seed', async () => {
    expect((await repeated({}, '--count', '3')).seeds).toEqual([7, 8, 9]);
    expect((await repeated({}, '--count', '2', '--seed', '1')).seeds).toEqual([1, 2]);
  });

  it('keeps nothing of a cache or sampler that is replaced', async () => {
    const none = await repeated({ compare: true }, '--cache', 'none');
    expect([none.policy, none.compare, none.options.cacheOption]).toEqual([undefined, false, []]);
    const other = await repeated({}, '--cache', 'delta-cache-front');
    expect(other).toMatchObject({ policy: { name: 'delta-cache-front' }, options: { cacheOption: [] } });
    const tuned = await repeated({}, '--cache-option', 'cachedBlocks=14');
    expect(tuned.options.cacheOption).toEqual(['interval=2', 'cachedBlocks=21', 'cachedBlocks=14']);
    expect((await repeated({}, '--sampler', 'ddpm')).options.eta).toBeUndefined();
  });

  it('compares again what compared, unless told not to', async () => {
    expect((await repeated({ compare: true })).compare).toBe(true);
    expect((await repeated({ compare: true }, '--no-compare')).compare).toBe(false);
    expect((await repeated({}, '--compare')).compare).toBe(true);
  });

  it('leaves out what a converted folder does not take', async () => {
    const { options } = await repeated({ labels: 'names.json' }, '-m', 'dit-emoji');
    expect(options).toMatchObject({ model: 'dit-emoji', labels: 'names.json' });
    for (const name of ['vae', 'key', 'numHeads']) expect(options).not.toHaveProperty(name);
  });
});
