import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDiT } from '../../converters/open-dit.ts';
import type { CheckpointFolder } from '../../src/checkpoint/folder.ts';
import { AbortError, CheckpointError, DeltaDiTError, FileError, HubError, OptionError } from '../../src/errors.ts';
import { checkpointLocation } from '../../src/hub/checkpoint-location.ts';
import type { DownloadOptions } from '../../src/hub/checkpoint-path.ts';
import type { CheckpointStore } from '../../src/hub/stores/checkpoint-store.ts';
import { diskStore } from '../../src/hub/stores/disk-store.ts';
import { memoryStore } from '../../src/hub/stores/memory-store.ts';
import type { DownloadProgress } from '../../src/hub/transfer-meter.ts';
import type { DiTCheckpoint } from '../../src/models/dit-checkpoint.ts';
import { randomBytes } from '../support/mock-hub.ts';
import type { Mischief } from '../support/send-content.ts';
import { StaticServer } from '../support/static-server.ts';
import { failureOf } from '../support/tiny-hub.ts';

/** Weights that are random bytes, for what does not look inside. */
const WEIGHTS: Readonly<Record<string, Buffer>> = {
  'transformer.safetensors': randomBytes(300_000, 1),
  'vae.safetensors': randomBytes(100_000, 2),
};
const BYTES = 400_000;

/** A folder that is as converted ones are, but for the weights. */
function writeMadeUpModel(folder: string): void {
  mkdirSync(folder);
  const manifest = JSON.parse(readFileSync('checkpoints/dit-emoji/manifest.json', 'utf8'));
  for (const component of [manifest.transformer, manifest.vae]) {
    const [{ name }] = component.files;
    const content = WEIGHTS[name] as Buffer;
    writeFileSync(join(folder, name), content);
    component.files = [{ name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }];
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
}

let server: StaticServer;
let scratch = '';
let store: CheckpointStore;
let warnings: string[] = [];

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'delta-dit-url-'));
  writeMadeUpModel(join(scratch, 'dit'));
  server = await StaticServer.start({
    '/dit': join(scratch, 'dit'),
    '/emoji': 'checkpoints/dit-emoji',
    '/pixart': 'checkpoints/pixart-emoji-lcm',
  });
});
beforeEach(() => {
  server.calm();
  store = memoryStore();
  warnings = [];
});
afterAll(async () => {
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const url = (path = '/dit') => server.origin() + path;

async function load(path = '/dit', options: DownloadOptions = {}): Promise<CheckpointFolder> {
  const onWarning = (warning: string) => warnings.push(warning);
  const found = await checkpointLocation(url(path), { store, onWarning, ...options });
  if (typeof found === 'string' || !('has' in found)) throw new Error('expected a folder');
  return found;
}

/** Ranges of the weights that were asked for since. */
const fetched = (): string[] =>
  server.take().flatMap(({ path, range }) => (path.endsWith('.safetensors') ? [range ?? 'all'] : []));

/** Does each of these to one answer that brings the file, in turn, and then behaves. */
function misbehave(file: string, ...mischiefs: readonly Mischief[]): void {
  const queue = [...mischiefs];
  server.mischief = (path) => (path.endsWith(file) ? (queue.shift() ?? {}) : {});
}

async function expectRight(folder: CheckpointFolder): Promise<void> {
  for (const [name, expected] of Object.entries(WEIGHTS)) {
    const source = await folder.open(name);
    const content = await source.read(0, source.size);
    await source.close();
    expect(expected.equals(content)).toBe(true);
  }
}

describe('a converted folder on a web server', () => {
  it('opens as one on disk does', async () => {
    const [there, here] = [await openDiT(await load('/emoji')), await openDiT('checkpoints/dit-emoji')];
    expect(there.transformer.config).toEqual(here.transformer.config);
    expect(there.sha256).toEqual(here.sha256);
    expect(there.name).toBe(url('/emoji'));
    const [tensor = ''] = [...here.transformer.archive.tensors.keys()].slice(-1);
    const read = async (opened: DiTCheckpoint) => opened.transformer.archive.tensors.get(tensor)?.read();
    expect(await read(there)).toEqual(await read(here));
    await Promise.all([there.close(), here.close()]);
  });

  it('says how it arrives, in the words of other downloads', async () => {
    const seen: DownloadProgress[] = [];
    await expectRight(await load('/dit', { onDownload: (progress) => seen.push(progress) }));
    expect(seen.at(-1)).toMatchObject({ model: url(), doneBytes: BYTES, totalBytes: BYTES, waiting: false });
  });

  it('is asked for its manifest alone the second time', async () => {
    await load();
    server.take();
    await expectRight(await load());
    expect(server.take().map(({ path }) => path)).toEqual(['/dit/manifest.json', '/dit/cache-plan.json']);
  });

  it('brings a PixArt with its text encoder and tokenizer, or without what comes from elsewhere', async () => {
    const folder = await load('/pixart');
    expect(await folder.has('spiece.model')).toBe(true);
    expect((await folder.open('text_encoder.safetensors')).size).toBeGreaterThan(0);
    store = memoryStore();
    server.take();
    await load('/pixart', { without: ['text_encoder', 'tokenizer'] });
    const asked = server.take().map(({ path }) => path.replace('/pixart/', ''));
    expect(asked.sort()).toEqual(['cache-plan.json', 'manifest.json', 'transformer.safetensors', 'vae.safetensors']);
  });

  it('may be named by its manifest, with a slash, and with a query that goes along and is never shown', async () => {
    await load('/dit/manifest.json');
    await load('/dit/');
    const folder = await load('/dit?key=secret');
    expect(folder.name).toBe(url());
    misbehave('manifest.json', { status: 404 });
    expect((await failureOf(load('/dit?key=secret'))).message).not.toContain('secret');
  });

  it('takes its cache plan along, where it has one', async () => {
    writeFileSync(join(scratch, 'dit', 'cache-plan.json'), '{"plan": 1}');
    const folder = await load();
    expect(await folder.has('cache-plan.json')).toBe(true);
    rmSync(join(scratch, 'dit', 'cache-plan.json'));
    expect(await (await load()).has('cache-plan.json')).toBe(false);
    server.fallback = '<!doctype html><title>app</title>'; // as servers of single-page apps do
    expect(await (await load()).has('cache-plan.json')).toBe(false);
  });
});

describe('a download that is disturbed', () => {
  it('goes on where the connection was cut', async () => {
    misbehave('transformer.safetensors', { cutAfter: 150_000 });
    await expectRight(await load());
    expect(fetched().some((range) => /^bytes=[1-9]\d*-$/.test(range))).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('goes on after what an earlier process kept', async () => {
    const folder = join(scratch, 'store');
    store = diskStore(folder);
    server.mischief = () => ({ slowly: 20 });
    const stop = new AbortController();
    const onDownload = ({ doneBytes }: DownloadProgress) => doneBytes > 120_000 && stop.abort();
    expect(await failureOf(load('/dit', { signal: stop.signal, onDownload }))).toBeInstanceOf(AbortError);
    server.calm();
    store = diskStore(folder);
    const seen: DownloadProgress[] = [];
    await expectRight(await load('/dit', { onDownload: (progress) => seen.push(progress) }));
    expect(fetched().filter((range) => range !== 'all').length).toBeGreaterThan(0);
    expect(Math.min(...seen.map(({ doneBytes }) => doneBytes))).toBeGreaterThan(10_000);
  });

  it('starts again where the server has no ranges, which is said once', async () => {
    const both: Mischief[] = [{ cutAfter: 150_000 }, { noRanges: true, cutAfter: 200_000 }, { noRanges: true }];
    misbehave('transformer.safetensors', ...both);
    await expectRight(await load());
    expect(warnings).toEqual([expect.stringMatching(/^localhost:\d+ sends no byte ranges/)]);
  });

  it('is given up where nothing helps, and used where an earlier visit kept all', async () => {
    await load();
    server.mischief = () => ({ status: 503 });
    await expectRight(await load());
    expect(warnings).toEqual([expect.stringMatching(/out of order \(HTTP 503\).*earlier visit/)]);
    store = memoryStore();
    const error = await failureOf(load());
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(
      /manifest\.json: the server is out of order \(HTTP 503\), 3 times; check the address/,
    );
  });

  it('never asks the network when it may not', async () => {
    const error = await failureOf(load('/dit', { localFilesOnly: true }));
    expect(error.message).toMatch(/is not in the memory of this page, and localFilesOnly is set/);
    expect(server.take()).toEqual([]);
    await load();
    server.take();
    await expectRight(await load('/dit', { localFilesOnly: true }));
    expect(server.take()).toEqual([]);
  });
});

describe('what is wrong is refused, with what to do', () => {
  /** The error of a load, and that nothing of it is used later. */
  async function refused(path = '/dit'): Promise<Error> {
    const error = await failureOf(load(path));
    expect(error).toBeInstanceOf(DeltaDiTError);
    expect(await failureOf(load(path, { localFilesOnly: true }))).toBeInstanceOf(HubError);
    return error;
  }

  it('a file that arrives damaged twice; once is mended', async () => {
    misbehave('vae.safetensors', { corruptAt: 7 }, { corruptAt: 8 });
    const error = await refused();
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(
      /vae\.safetensors: arrived damaged 2 times, its sha256 is not the listed [0-9a-f]{64}/,
    );
    misbehave('vae.safetensors', { corruptAt: 7 });
    await expectRight(await load());
  });

  it('what was kept and has changed since is brought again', async () => {
    await load();
    const [key] = (await store.keys()).filter((name) => name.endsWith('.0'));
    await store.remove(key ?? '');
    server.take();
    await expectRight(await load());
    expect(fetched()).toEqual(['all']);
  });

  it.each<[string, Mischief, RegExp]>([
    ['a file that is not there', { status: 404 }, /vae\.safetensors: got HTTP 404 for a file that the manifest names/],
    ['a file of another size', { extra: 5 }, /vae\.safetensors: the server has another file than it listed, of 100005/],
  ])('%s', async (_, mischief, message) => {
    server.mischief = (path) => (path.endsWith('vae.safetensors') ? mischief : {});
    expect((await refused()).message).toMatch(message);
  });

  it('no folder, no manifest, a web page instead', async () => {
    const absent = await refused('/nothing');
    expect(absent).toBeInstanceOf(HubError);
    expect(absent.message).toMatch(/nothing\/manifest\.json: expected the manifest .*, got HTTP 404; give the URL/);
    server.fallback = '<!doctype html><title>app</title>';
    expect((await refused('/nothing')).message).toMatch(/expected the manifest .*, got a web page; give the URL/);
    expect(await failureOf(checkpointLocation('http://', { store }))).toBeInstanceOf(OptionError);
  });

  it('a manifest that is none', async () => {
    const manifest = join(scratch, 'dit', 'manifest.json');
    const text = readFileSync(manifest, 'utf8');
    for (const wrong of ['{', '{}', text.replace('"vae.safetensors"', '"../vae.safetensors"')]) {
      writeFileSync(manifest, wrong);
      expect(await refused()).toBeInstanceOf(CheckpointError);
    }
    writeFileSync(manifest, text);
  });

  it('a store without room, before anything is fetched', async () => {
    store = { ...memoryStore(), room: async () => 100_000 };
    const error = await refused();
    expect(error).toBeInstanceOf(FileError);
    expect(error.message).toMatch(/the memory of this page: needs 0.4 MB free, has 0.1 MB; free memory/);
    expect(fetched()).toEqual([]);
  });
});
