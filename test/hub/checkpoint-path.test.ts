import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HubError } from '../../src/errors.ts';
import { checkpointPath, checkpointPaths } from '../../src/hub/checkpoint-path.ts';
import { PARITY } from '../support/fixtures.ts';
import { commitOf, filesOf, randomBytes } from '../support/mock-hub.ts';
import { COMMIT, FILES, failureOf, TinyHub, WEIGHTS } from '../support/tiny-hub.ts';
import { PIXART } from '../support/tiny-pixart.ts';

const tiny = TinyHub.forTests();

describe('a name', () => {
  it('is a path where something is there, without a look at the hub', async () => {
    expect(await checkpointPath('src/hub', tiny.options)).toBe('src/hub');
    expect(await checkpointPath('/nothing/here', tiny.options)).toBe('/nothing/here');
    expect(tiny.hub.take()).toEqual([]);
  });

  it('is taken from the cache, also where the hub has a newer commit by now', async () => {
    await tiny.download();
    tiny.hub.add('tiny/dit', { files: { ...FILES, 'vae/config.json': Buffer.from('{}') } });
    tiny.hub.take();
    expect(await checkpointPath('tiny/dit', tiny.options)).toBe(tiny.model('snapshots', COMMIT));
    expect(tiny.hub.take()).toEqual([]);
  });

  it('is downloaded where the cache lacks a part of it', async () => {
    await tiny.download();
    rmSync(tiny.model('snapshots', COMMIT, WEIGHTS));
    tiny.hub.take();
    expect(await checkpointPath('tiny/dit', tiny.options)).toBe(tiny.model('snapshots', COMMIT));
    expect(tiny.fetched()).toEqual([]); // its blob was there
    rmSync(tiny.blob(WEIGHTS));
    await checkpointPath('tiny/dit', tiny.options);
    expect(tiny.fetched()).toHaveLength(2); // the hub, and the store that it redirects to
    tiny.expectOnlyWholeFiles();
  });

  it('is not asked for offline: what the cache has whole is taken, else it is said what to do', async () => {
    process.env.HF_HUB_OFFLINE = '1';
    const error = await failureOf(checkpointPath('tiny/dit', tiny.options));
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(
      /^tiny\/dit: is not \(or not wholly\) in .*, and HF_HUB_OFFLINE is set; unset it to download/,
    );
    delete process.env.HF_HUB_OFFLINE;
    await tiny.download();
    tiny.hub.take();
    process.env.HF_HUB_OFFLINE = '1';
    expect(await checkpointPath('tiny/dit', tiny.options)).toBe(tiny.model('snapshots', COMMIT));
    expect(await tiny.download()).toBe(tiny.model('snapshots', COMMIT));
    rmSync(tiny.blob(WEIGHTS));
    await expect(tiny.download()).rejects.toThrow(/HF_HUB_OFFLINE is set/);
    delete process.env.HF_HUB_OFFLINE;
    await expect(tiny.download('tiny/dit', { localFilesOnly: true })).rejects.toThrow(/localFilesOnly is set/);
    expect(tiny.hub.take()).toEqual([]);
  });

  it('of a model of one weights file is that file; the hub is asked whether it is the only one', async () => {
    const one = { files: { 'README.md': Buffer.from(''), 'one.pt': randomBytes(5000, 1) } };
    tiny.hub.add('tiny/one', one);
    const path = join(tiny.cacheDir, 'models--tiny--one', 'snapshots', commitOf(one), 'one.pt');
    expect(await checkpointPath('tiny/one', tiny.options)).toBe(path);
    expect(await checkpointPath('tiny/one', { ...tiny.options, localFilesOnly: true })).toBe(path);
    tiny.hub.add('tiny/one', { files: { ...one.files, 'two.pt': randomBytes(5000, 2) } });
    await expect(checkpointPath('tiny/one', tiny.options)).rejects.toThrow(/has 2 weights files: one\.pt, two\.pt/);
    tiny.hub.take();
    expect(await checkpointPath(`hf://tiny/one@${commitOf(one)}/one.pt`, tiny.options)).toBe(path);
    expect(tiny.hub.take()).toEqual([]);
  });
});

it('parts that come from elsewhere are fetched from there, and not with the model', async () => {
  const pixart = { files: filesOf(join(PIXART, 'tiny-diffusers')) };
  tiny.hub.add('tiny/pixart', pixart);
  tiny.hub.add('tiny/vae', { files: filesOf(`${PARITY}/dit-tiny-diffusers/vae`) });
  const given = { ...tiny.options, vae: 'tiny/vae', textEncoder: join(PIXART, 'tiny-diffusers', 'text_encoder') };
  const { path, options } = await checkpointPaths('tiny/pixart', given);
  expect(options.textEncoder).toBe(given.textEncoder);
  expect(readdirSync(options.vae ?? '').sort()).toEqual(['config.json', 'diffusion_pytorch_model.safetensors']);
  expect(readdirSync(path).sort()).toEqual(['model_index.json', 'scheduler', 'tokenizer', 'transformer']);
});
