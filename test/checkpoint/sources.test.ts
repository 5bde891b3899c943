import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blobSource } from '../../src/checkpoint/blob-source.ts';
import { fileSource, openFolderFile } from '../../src/checkpoint/file-source.ts';
import { FileError, FormatError } from '../../src/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'delta-dit-sources-'));
  await writeFile(
    join(folder, 'ten'),
    Uint8Array.from({ length: 10 }, (_, i) => i),
  );
  await mkdir(join(folder, 'inside'));
  await writeFile(join(folder, 'inside', 'file'), 'x');
  await symlink('file', join(folder, 'inside', 'neighbour'));
  await symlink('../ten', join(folder, 'inside', 'outside'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each([
  ['fileSource', () => fileSource(join(folder, 'ten'))],
  ['blobSource', async () => blobSource(new Blob([Uint8Array.from({ length: 10 }, (_, i) => i)]), 'ten')],
] as const)('%s', (_, open) => {
  it('reads by position, into memory of its own', async () => {
    const source = await open();
    expect(source.size).toBe(10);
    const bytes = await source.read(2, 3);
    expect([...bytes]).toEqual([2, 3, 4]);
    bytes.fill(0);
    expect([...(await source.read(2, 3))]).toEqual([2, 3, 4]);
    expect(await source.read(10, 0)).toHaveLength(0);
    await source.close();
    await source.close();
  });

  it.each([
    [8, 3],
    [11, 0],
    [-1, 2],
    [0, -1],
    [0.5, 1],
    [2 ** 53, 1],
    [Number.NaN, 1],
  ])('refuses offset %p and length %p', async (offset, length) => {
    const source = await open();
    await expect(source.read(offset, length)).rejects.toThrow(FormatError);
    await source.close();
  });
});

describe('fileSource', () => {
  it.each([
    ['absent', /there is no such file/],
    ['ten/below', /there is no such file/],
    ['inside', /is not a file/],
  ])('refuses %s', async (name, message) => {
    const error = await fileSource(join(folder, name)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FileError);
    expect((error as Error).message).toMatch(message);
  });

  it('says that a file was cut while it was read', async () => {
    const path = join(folder, 'cut');
    await writeFile(path, 'abcdef');
    const source = await fileSource(path);
    await writeFile(path, 'ab');
    await expect(source.read(0, 6)).rejects.toThrow(/ended at byte 2/);
    await source.close();
  });
});

describe('openFolderFile in a snapshot of the hub’s cache', () => {
  const COMMIT = 'c'.repeat(40);
  const SHARED = `ab${'0'.repeat(62)}`;
  let model: string;
  beforeAll(async () => {
    model = join(folder, 'hub', 'models--a--b');
    const part = join(model, 'snapshots', COMMIT, 'vae');
    await mkdir(part, { recursive: true });
    await mkdir(join(model, 'blobs', 'deeper'), { recursive: true });
    await mkdir(join(folder, 'hub', 'models--a--c', 'blobs'), { recursive: true });
    await mkdir(join(folder, 'hub', 'blobs', 'ab'), { recursive: true });
    for (const file of [
      'blobs/own',
      'blobs/deeper/file',
      '../models--a--c/blobs/other',
      `../blobs/ab/${SHARED}`,
      'refs',
    ])
      await writeFile(join(model, file), 'x');
    await symlink(`../../blobs/ab/${SHARED}`, join(model, 'blobs', 'shared'));
    await symlink('../../../ten', join(model, 'blobs', 'away'));
    const up = '../../../../';
    const links = {
      own: `${up}models--a--b/blobs/own`,
      shared: `${up}models--a--b/blobs/shared`,
      deeper: `${up}models--a--b/blobs/deeper/file`,
      other: `${up}models--a--c/blobs/other`,
      refs: `${up}models--a--b/refs`,
      away: `${up}models--a--b/blobs/away`,
      out: `${up}../ten`,
    };
    for (const [name, target] of Object.entries(links)) await symlink(target, join(part, name));
  });
  const opened = (name: string) => openFolderFile(join(model, 'snapshots', COMMIT, 'vae'), name);

  it('opens what links to a blob of the same model, under the name of the link', async () => {
    const source = await opened('own');
    expect(source.name).toBe(join(model, 'snapshots', COMMIT, 'vae', 'own'));
    expect(await source.read(0, 1)).toHaveLength(1);
    await source.close();
  });

  it('opens what links to a blob that models share, where the store is marked as one', async () => {
    await expect(opened('shared')).rejects.toThrow(/outside its folder/);
    await writeFile(join(folder, 'hub', 'blobs', '.huggingface-shared-blobs'), '1\n');
    await (await opened('shared')).close();
  });

  it.each(['deeper', 'other', 'refs', 'away', 'out'])('refuses a link to anything else: %s', async (name) => {
    await expect(opened(name)).rejects.toThrow(FormatError);
  });

  it('refuses the same links in any other folder', async () => {
    const elsewhere = join(folder, 'models--a--b');
    await mkdir(join(elsewhere, 'snapshots', 'main'), { recursive: true });
    await mkdir(join(elsewhere, 'blobs'));
    await writeFile(join(elsewhere, 'blobs', 'own'), 'x');
    await symlink('../../blobs/own', join(elsewhere, 'snapshots', 'main', 'own'));
    await expect(openFolderFile(join(elsewhere, 'snapshots', 'main'), 'own')).rejects.toThrow(/outside its folder/);
  });
});

describe('openFolderFile', () => {
  it.each(['file', 'neighbour'])('opens %s', async (name) => {
    const source = await openFolderFile(join(folder, 'inside'), name);
    expect(await source.read(0, 1)).toHaveLength(1);
    await source.close();
  });

  it.each([
    ['outside', FormatError, /outside its folder/],
    ['../ten', FormatError, /plain file name/],
    ['absent', FileError, /no such file/],
  ])('refuses %s', async (name, kind, message) => {
    const error = await openFolderFile(join(folder, 'inside'), name).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(message);
  });
});
