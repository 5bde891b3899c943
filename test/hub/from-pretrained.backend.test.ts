import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DiTPipeline, HubError, loadAutoencoder, PixArtPipeline } from '../../src/index.ts';
import { PARITY } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { filesOf } from '../support/mock-hub.ts';
import { COMMIT, TinyHub } from '../support/tiny-hub.ts';
import { PIXART } from '../support/tiny-pixart.ts';

const tiny = TinyHub.forTests();
const DIT = `${PARITY}/dit-tiny-diffusers`;

async function classPicture(path: string, options: Parameters<typeof DiTPipeline.fromPretrained>[1] = {}) {
  const pipe = await DiTPipeline.fromPretrained(path, options);
  const { images } = await pipe.generate({ classLabels: 1, numInferenceSteps: 2, seed: 7 });
  pipe.dispose();
  return { name: pipe.name, pixels: Array.from(images[0]?.data ?? []) };
}

async function promptPicture(path: string, options: Parameters<typeof PixArtPipeline.fromPretrained>[1] = {}) {
  const pipe = await PixArtPipeline.fromPretrained(path, options);
  const { images } = await pipe.generate({ prompt: 'a red heart', numInferenceSteps: 2, seed: 7 });
  pipe.dispose();
  return Array.from(images[0]?.data ?? []);
}

it('a DiT of the hub paints what its folder does, downloaded and from the cache', async () => {
  const { pixels } = await classPicture(DIT);
  expect(await expectNoLeak(() => classPicture('tiny/dit', tiny.options))).toEqual({
    name: tiny.model('snapshots', COMMIT),
    pixels,
  });
  tiny.hub.take();
  expect((await classPicture(`tiny/dit@${COMMIT}`, tiny.options)).pixels).toEqual(pixels);
  expect((await classPicture('tiny/dit', { ...tiny.options, localFilesOnly: true })).pixels).toEqual(pixels);
  expect(tiny.hub.take()).toEqual([]);
});

it('a weights file of the hub takes an autoencoder of the hub', async () => {
  tiny.hub.add('tiny/file', { files: { 'dit-tiny.pt': readFileSync(`${PARITY}/dit-tiny.pt`) } });
  tiny.hub.add('tiny/vae', { files: filesOf(`${DIT}/vae`) });
  const { pixels } = await classPicture(`${PARITY}/dit-tiny.pt`, { numHeads: 4, vae: DIT });
  const given = { ...tiny.options, numHeads: 4 };
  expect((await classPicture('tiny/file', { ...given, vae: 'tiny/vae' })).pixels).toEqual(pixels);
  expect((await classPicture('hf://tiny/file/dit-tiny.pt', { ...given, vae: 'hf://tiny/dit/vae' })).pixels).toEqual(
    pixels,
  );
});

it('a PixArt of the hub paints what its folder does', async () => {
  const folder = join(PIXART, 'tiny-diffusers');
  tiny.hub.add('tiny/pixart', { files: filesOf(folder), revisions: ['v1'] });
  const pixels = await promptPicture(folder);
  expect(await promptPicture('tiny/pixart', { ...tiny.options, revision: 'v1' })).toEqual(pixels);
});

it('an autoencoder of the hub comes alone', async () => {
  const vae = await loadAutoencoder('tiny/dit', tiny.options);
  vae.dispose();
  const asked = tiny.hub.take().filter(({ host }) => host === 'hub');
  expect(asked.filter(({ path }) => path.includes('/resolve/')).every(({ path }) => path.includes('/vae/'))).toBe(true);
});

it('what is not to be had leaves nothing', async () => {
  await expectCleanFailure(() => DiTPipeline.fromPretrained('no/model', tiny.options), HubError, /check the name/);
});
