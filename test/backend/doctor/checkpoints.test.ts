import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convertCheckpoint } from '../../../converters/convert.ts';
import { checkCheckpoints } from '../../../src/backend/doctor/checkpoints.ts';

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-doctor-'));
const folder = join(scratch, 'checkpoints');
const DIFFUSERS = join(__dirname, '../../fixtures/parity/dit-tiny-diffusers');
const PLENTY = [{ bytes: 1e12, reason: 'is there' }];

beforeAll(async () => {
  await convertCheckpoint({ from: DIFFUSERS, out: join(scratch, 'whole') });
});
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  cpSync(join(scratch, 'whole'), join(folder, 'tiny'), { recursive: true });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const check = async () => (await checkCheckpoints([folder], PLENTY)).find(({ name }) => name === 'tiny');

it('describes a converted checkpoint', async () => {
  expect(await check()).toEqual({
    name: 'tiny',
    folder: join(folder, 'tiny'),
    layout: 'converted',
    model: expect.stringMatching(/^DiT.*, converted$/),
    dtypes: ['F16'],
    bytes: expect.any(Number),
    memoryBytes: expect.any(Number),
    status: 'ok',
  });
});

it('describes a diffusers folder, and says of others what they lack', async () => {
  cpSync(DIFFUSERS, join(folder, 'foreign'), { recursive: true });
  mkdirSync(join(folder, 'notes'));
  mkdirSync(join(folder, '.hidden'));
  writeFileSync(join(folder, 'README.md'), '');
  const checks = await checkCheckpoints([folder], PLENTY);
  expect(checks.map(({ name, layout, status }) => [name, layout, status]).sort()).toEqual([
    ['foreign', 'diffusers', 'ok'],
    ['notes', 'none', 'absent'],
    ['tiny', 'converted', 'ok'],
  ]);
  expect(checks.find(({ name }) => name === 'notes')?.problem).toBe('holds neither manifest.json nor model_index.json');
});

it('describes a classifier, which takes no memory for pictures', async () => {
  cpSync(join(__dirname, '../../../checkpoints/emoji-classifier'), join(folder, 'classifier'), { recursive: true });
  const found = (await checkCheckpoints([folder], PLENTY)).find(({ name }) => name === 'classifier');
  expect(found).toEqual({
    name: 'classifier',
    folder: join(folder, 'classifier'),
    layout: 'converted',
    model: 'image classifier (4 stages, 128 features, 535 labels), converted',
    dtypes: ['F16'],
    bytes: statSync(join(folder, 'classifier', 'classifier.safetensors')).size,
    status: 'ok',
  });
});

const PIXART = join(__dirname, '../../fixtures/pixart/tiny-diffusers');

describe('of a PixArt', () => {
  const checkPixArt = async () => (await checkCheckpoints([folder], PLENTY)).find(({ name }) => name === 'pixart');

  it('counts the text encoder', async () => {
    cpSync(PIXART, join(folder, 'pixart'), { recursive: true });
    const parts = ['transformer/diffusion_pytorch_model', 'vae/diffusion_pytorch_model', 'text_encoder/model'];
    const sizes = parts.map((part) => statSync(join(PIXART, `${part}.safetensors`)).size);
    expect(await checkPixArt()).toMatchObject({
      status: 'ok',
      layout: 'diffusers',
      model: expect.stringMatching(/^PixArt-α \(depth 3, width 24, patch 2\)/),
      bytes: sizes.reduce((sum, size) => sum + size, 0),
    });
  });

  it.each([
    ['text encoder', 'text_encoder'],
    ['tokenizer', 'tokenizer'],
  ])('without %s says what it can do', async (name, part) => {
    cpSync(PIXART, join(folder, 'pixart'), { recursive: true });
    rmSync(join(folder, 'pixart', part), { recursive: true });
    expect(await checkPixArt()).toMatchObject({
      status: 'warning',
      problem: `has no ${name}, so that it takes encoded prompts alone (--embeds)`,
      fix: 'Give them with --text-encoder and --tokenizer, or convert the checkpoint with them.',
    });
  });

  it('names a text encoder that is damaged', async () => {
    cpSync(PIXART, join(folder, 'pixart'), { recursive: true });
    truncateSync(join(folder, 'pixart/text_encoder/model.safetensors'), 100);
    expect(await checkPixArt()).toMatchObject({ status: 'failed', problem: expect.stringMatching(/text_encoder/) });
  });
});

it.each([
  ['a manifest that is no JSON', () => writeFileSync(join(folder, 'tiny/manifest.json'), '{'), /not JSON/],
  ['a manifest without its fields', () => writeFileSync(join(folder, 'tiny/manifest.json'), '{}'), /at pipeline/],
  [
    'a file that is gone',
    () => rmSync(join(folder, 'tiny/vae.safetensors')),
    /vae\.safetensors: there is no such file/,
  ],
  ['a file that was cut', () => truncateSync(join(folder, 'tiny/vae.safetensors'), 100), /expected \d+ bytes, got 100/],
])('names %s', async (_what, damage, problem) => {
  damage();
  expect(await check()).toMatchObject({
    status: 'failed',
    problem: expect.stringMatching(problem),
    fix: 'Convert or copy the checkpoint again.',
  });
});

it('warns of one that does not fit, by what ends first', async () => {
  const [tiny] = await checkCheckpoints([folder], [...PLENTY, { bytes: 1000, reason: 'is all of the pretended' }]);
  expect(tiny).toMatchObject({ status: 'warning', problem: expect.stringMatching(/0\.0 GB is all of the pretended$/) });
});

it('names a folder once that is reached by two paths, and nothing where there is no folder', async () => {
  symlinkSync(folder, join(scratch, 'again'));
  expect(await checkCheckpoints([folder, join(scratch, 'again')], PLENTY)).toHaveLength(1);
  expect(await checkCheckpoints([join(scratch, 'nowhere')], PLENTY)).toEqual([]);
});
