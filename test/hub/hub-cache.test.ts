import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkpointPath } from '../../src/hub/checkpoint-path.ts';
import { filesOf } from '../support/mock-hub.ts';
import { COMMIT, contentOf, FILES, NEEDED, TinyHub } from '../support/tiny-hub.ts';

const tiny = TinyHub.forTests();

describe('the layout', () => {
  it('is that of Python’s huggingface_hub: blobs by checksum, links to them, a ref', async () => {
    expect(await tiny.download()).toBe(tiny.model('snapshots', COMMIT));
    expect(Object.keys(filesOf(tiny.model('snapshots', COMMIT))).sort()).toEqual([...NEEDED].sort());
    for (const path of NEEDED) {
      const link = tiny.model('snapshots', COMMIT, path);
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(join(dirname(link), readlinkSync(link))).toBe(tiny.blob(path));
      expect(readlinkSync(link)).toMatch(/^(\.\.\/)+blobs\/[0-9a-f]+$/);
      expect(readFileSync(link).equals(contentOf(path))).toBe(true);
    }
    expect(readdirSync(tiny.model('blobs'))).toHaveLength(NEEDED.length);
    expect(readFileSync(tiny.model('refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(readdirSync(tiny.model()).sort()).toEqual(['blobs', 'refs', 'snapshots']);
    expect(readdirSync(join(tiny.cacheDir, '.locks', 'models--tiny--dit'))).toEqual([]);
  });

  it('keeps a branch with slashes as Python does, and no ref of a commit', async () => {
    tiny.hub.add('tiny/dit', { files: FILES, revisions: ['refs/pr/1'] });
    await tiny.download('tiny/dit@refs/pr/1');
    expect(readFileSync(tiny.model('refs', 'refs', 'pr', '1'), 'utf8')).toBe(COMMIT);
    await tiny.download('tiny/dit', { revision: COMMIT });
    expect(readdirSync(tiny.model('refs'))).toEqual(['refs']);
  });

  it('has files instead of links where HF_HUB_DISABLE_SYMLINKS says so, also for two of the same content', async () => {
    process.env.HF_HUB_DISABLE_SYMLINKS = '1';
    const same = contentOf('vae/config.json');
    const files: Record<string, Buffer> = { ...FILES, 'transformer/config.json': same };
    tiny.hub.add('tiny/dit', { files });
    const snapshot = await tiny.download();
    for (const path of NEEDED) {
      expect(lstatSync(join(snapshot, path)).isSymbolicLink()).toBe(false);
      expect(readFileSync(join(snapshot, path)).equals(files[path] ?? Buffer.alloc(0))).toBe(true);
    }
    tiny.hub.take();
    await tiny.download();
    expect(tiny.fetched()).toEqual([]);
  });

  it('finds what Python downloaded, whose blobs and refs it is', async () => {
    for (const path of NEEDED) {
      mkdirSync(dirname(tiny.model('snapshots', COMMIT, path)), { recursive: true });
      writeFileSync(tiny.model('snapshots', COMMIT, path), contentOf(path));
    }
    mkdirSync(tiny.model('refs'));
    writeFileSync(tiny.model('refs', 'main'), `${COMMIT}\n`);
    expect(await checkpointPath('tiny/dit', tiny.options)).toBe(tiny.model('snapshots', COMMIT));
    expect(tiny.hub.take()).toEqual([]);
  });
});
