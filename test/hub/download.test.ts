import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError, FileError, HubError, OptionError } from '../../src/errors.ts';
import { checkpointPath } from '../../src/hub/checkpoint-path.ts';
import type { DownloadProgress } from '../../src/hub/transfer-meter.ts';
import { commitOf } from '../support/mock-hub.ts';
import { COMMIT, contentOf, FILES, failureOf, NEEDED, TinyHub, WEIGHTS } from '../support/tiny-hub.ts';

const tiny = TinyHub.forTests();

describe('a download', () => {
  it('tells how it goes, up to the end', async () => {
    const told: DownloadProgress[] = [];
    await tiny.download('tiny/dit', { onDownload: (progress) => told.push(progress) });
    const { totalBytes } = told[0]!;
    const small = contentOf('model_index.json').length; // is there already when the rest is known
    expect(totalBytes).toBe(NEEDED.reduce((sum, path) => sum + contentOf(path).length, 0) - small);
    expect(told.at(-1)).toMatchObject({ model: 'tiny/dit', doneBytes: totalBytes });
  });

  it('brings only what has changed in a newer commit', async () => {
    await tiny.download();
    const newer = { files: { ...FILES, 'scheduler/scheduler_config.json': Buffer.from('{"x": 1}') } };
    tiny.hub.add('tiny/dit', newer);
    tiny.hub.take();
    expect(await tiny.download()).toBe(tiny.model('snapshots', commitOf(newer)));
    expect(tiny.fetched()).toEqual(['all']);
    expect(readFileSync(tiny.model('refs', 'main'), 'utf8')).toBe(commitOf(newer));
    expect(readdirSync(tiny.model('snapshots'))).toHaveLength(2);
  });

  it('goes on with what an earlier one left', async () => {
    const half = contentOf(WEIGHTS).length >> 1;
    mkdirSync(tiny.model('blobs'), { recursive: true });
    writeFileSync(tiny.incomplete(WEIGHTS), contentOf(WEIGHTS).subarray(0, half));
    await tiny.download();
    expect(tiny.fetched()).toContain(`bytes=${half}-`);
    tiny.expectOnlyWholeFiles();
    expect(readdirSync(tiny.model('blobs')).filter((name) => name.endsWith('.incomplete'))).toEqual([]);
  });

  it.each([
    ['wrong bytes', (content: Buffer) => Buffer.alloc(content.length >> 1, 7), 2],
    ['all bytes, and a wrong one', (content: Buffer) => Buffer.concat([content.subarray(0, -1), Buffer.from([1])]), 1],
    ['too many bytes', (content: Buffer) => Buffer.concat([content, Buffer.alloc(5)]), 1],
  ])('starts again when an earlier one left %s', async (_, leave, asked) => {
    mkdirSync(tiny.model('blobs'), { recursive: true });
    writeFileSync(tiny.incomplete(WEIGHTS), leave(contentOf(WEIGHTS)));
    await tiny.download();
    const stored = tiny.hub.take().filter(({ host, path }) => host === 'store' && tiny.blob(WEIGHTS).endsWith(path));
    expect(stored).toHaveLength(asked);
    tiny.expectOnlyWholeFiles();
  });

  it('replaces a blob that has another size than it should', async () => {
    await tiny.download();
    writeFileSync(tiny.blob(WEIGHTS), 'cut');
    await tiny.download();
    tiny.expectOnlyWholeFiles();
  });

  it.each([WEIGHTS, 'vae/config.json', 'model_index.json'])(
    'asks again for %s when it arrives damaged',
    async (path) => {
      let damaged = 0;
      tiny.hub.mischief = (asked) => (asked === path && damaged++ === 0 ? { corruptAt: 3 } : {});
      await tiny.download();
      expect(damaged).toBe(2);
      tiny.expectOnlyWholeFiles();
    },
  );

  it('gives up, and keeps nothing, of a file that stays damaged', async () => {
    tiny.hub.mischief = (path) => (path === WEIGHTS ? { corruptAt: 100 } : {});
    const error = await failureOf(tiny.download());
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(
      /transformer\/diffusion_pytorch_model\.safetensors: arrived damaged 2 times, its sha256 is not the listed/,
    );
    expect(existsSync(tiny.model('snapshots'))).toBe(false);
    expect(existsSync(tiny.incomplete(WEIGHTS))).toBe(false);
    tiny.expectOnlyWholeFiles();
    expect(readdirSync(join(tiny.cacheDir, '.locks', 'models--tiny--dit'))).toEqual([]);
    tiny.hub.calm();
    expect(await tiny.download()).toBe(tiny.model('snapshots', COMMIT));
  });

  it('stops all files when one is refused, and says of which', async () => {
    tiny.hub.mischief = (path) => (path === WEIGHTS ? { status: 404 } : { slowly: 5 });
    await expect(tiny.download()).rejects.toThrow(HubError);
    expect(existsSync(tiny.model('snapshots'))).toBe(false);
    tiny.expectOnlyWholeFiles();
  });

  it('keeps what has arrived when it is stopped, and goes on there', async () => {
    const stop = new AbortController();
    tiny.hub.mischief = (path) => (path === WEIGHTS ? { slowly: 10 } : {});
    const onDownload = ({ file, doneBytes }: DownloadProgress) => file === WEIGHTS && doneBytes > 0 && stop.abort();
    await expect(tiny.download('tiny/dit', { signal: stop.signal, onDownload })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const kept = statSync(tiny.incomplete(WEIGHTS)).size;
    expect(kept).toBeGreaterThan(0);
    tiny.expectOnlyWholeFiles();
    tiny.hub.calm();
    await tiny.download();
    expect(tiny.fetched()).toContain(`bytes=${kept}-`);
    tiny.expectOnlyWholeFiles();
  });

  it('is one, when several are asked for at the same time', async () => {
    tiny.hub.mischief = () => ({ slowly: 2 });
    const waits: boolean[] = [];
    const onDownload = ({ waiting }: DownloadProgress) => waits.push(waiting);
    const paths = await Promise.all([
      tiny.download(),
      tiny.download('tiny/dit', { onDownload }),
      checkpointPath('tiny/dit', tiny.options),
    ]);
    expect(new Set(paths)).toEqual(new Set([tiny.model('snapshots', COMMIT)]));
    const stored = tiny.hub.take().filter(({ host }) => host === 'store');
    expect(stored).toHaveLength(new Set(stored.map(({ path }) => path)).size);
    tiny.expectOnlyWholeFiles();
  });

  it('is refused where the disk has no room for it, before a byte is fetched', async () => {
    tiny.hub.changeListing = (entries) =>
      entries.map((entry) =>
        entry.path === WEIGHTS ? { ...entry, lfs: { oid: 'a'.repeat(64), size: 2 ** 52 } } : entry,
      );
    const error = await failureOf(tiny.download());
    expect(error).toBeInstanceOf(FileError);
    expect(error.message).toMatch(/needs \d+ MB free, the disk has \d+ MB; free some, or set HF_HUB_CACHE/);
    expect(tiny.hub.take().filter(({ host }) => host === 'store')).toEqual([]);
  });

  it('is refused where the cache cannot be written to', async () => {
    writeFileSync(join(tiny.cacheDir, 'file'), '');
    const error = await failureOf(tiny.download('tiny/dit', { cacheDir: join(tiny.cacheDir, 'file') }));
    expect(error).toBeInstanceOf(FileError);
    expect(error.message).toMatch(/lies below something that is no folder; set HF_HUB_CACHE/);
  });

  it('is refused of another pipeline, before its weights are fetched', async () => {
    const index = Buffer.from('{"_class_name": "StableDiffusionPipeline"}');
    tiny.hub.add('tiny/dit', { files: { ...FILES, 'model_index.json': index } });
    await expect(tiny.download()).rejects.toThrow(CheckpointError);
    expect(tiny.fetched()).toEqual(['all']);
  });

  it('is refused where what should be a configuration is huge, before it is fetched', async () => {
    tiny.hub.changeListing = (entries) =>
      entries.map((entry) => (entry.path === 'model_index.json' ? { ...entry, size: 2 ** 40 } : entry));
    await expect(tiny.download()).rejects.toThrow(/tiny\/dit\/model_index\.json: \d+ bytes are too many for a config/);
    expect(tiny.fetched()).toEqual([]);
  });

  it('is of a name that is one', async () => {
    await expect(tiny.download('nothing')).rejects.toThrow(OptionError);
  });
});
