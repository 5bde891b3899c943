import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { hubSettings } from '../../src/hub/hub-settings.ts';

const home = mkdtempSync(join(tmpdir(), 'delta-dit-hf-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const settings = (env: NodeJS.ProcessEnv, given = {}) => hubSettings(given, env);

it('are those of Python’s huggingface_hub where nothing is set', async () => {
  expect(await settings({ HF_TOKEN_PATH: join(home, 'none') })).toEqual({
    endpoint: 'https://huggingface.co',
    cacheDir: join(homedir(), '.cache', 'huggingface', 'hub'),
    token: undefined,
    offline: false,
    symlinks: true,
  });
});

it.each([
  [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
  [{ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
  [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
  [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/c' }, '/c'],
  [{ HF_HOME: '~/h' }, join(homedir(), 'h', 'hub')],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as a shell writes it
  [{ HF_HUB_CACHE: '$DISK/${NAME}/$NOTHING', DISK: '/d', NAME: 'n' }, '/d/n/$NOTHING'],
])('keep models where %j says', async (env, folder) => {
  expect((await settings(env)).cacheDir).toBe(folder);
  expect((await settings(env, { cacheDir: '/given' })).cacheDir).toBe('/given');
});

it('have the token of the caller, else of HF_TOKEN, else of the file that a login leaves', async () => {
  expect((await settings({ HF_HOME: home })).token).toBeUndefined();
  writeFileSync(join(home, 'token'), 'hf_file\n');
  writeFileSync(join(home, 'other'), 'hf_other');
  expect((await settings({ HF_HOME: home })).token).toBe('hf_file');
  expect((await settings({ HF_HOME: home, HF_TOKEN_PATH: join(home, 'other') })).token).toBe('hf_other');
  expect((await settings({ HF_HOME: home, HF_TOKEN: ' hf_env ' })).token).toBe('hf_env');
  expect((await settings({ HF_HOME: home, HF_TOKEN: 'hf_env' }, { token: 'hf_given' })).token).toBe('hf_given');
});

it('have an endpoint without a slash at its end', async () => {
  expect((await settings({ HF_HOME: home, HF_ENDPOINT: 'http://mirror/' })).endpoint).toBe('http://mirror');
});

it.each([
  ['1', true],
  ['true', true],
  ['YES', true],
  ['0', false],
  ['', false],
])('are offline with HF_HUB_OFFLINE=%j: %s', async (value, offline) => {
  expect((await settings({ HF_HOME: home, HF_HUB_OFFLINE: value })).offline).toBe(offline);
  expect((await settings({ HF_HOME: home, HF_HUB_OFFLINE: value }, { offline: !offline })).offline).toBe(!offline);
});
