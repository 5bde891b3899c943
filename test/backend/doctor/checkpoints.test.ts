import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
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
