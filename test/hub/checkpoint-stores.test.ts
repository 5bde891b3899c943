import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileError } from '../../src/errors.ts';
import { diskStore } from '../../src/hub/stores/disk-store.ts';
import { memoryStore } from '../../src/hub/stores/memory-store.ts';
import { STORE_CHECKS } from '../support/store-checks.ts';
import { failureOf } from '../support/tiny-hub.ts';

let scratch = '';
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'delta-dit-store-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const stores = { memory: () => memoryStore(), disk: () => diskStore(join(scratch, 'store')) };

describe.each(Object.entries(stores))('the store %s', (_, open) => {
  it.each(STORE_CHECKS)('$name', async ({ run, expected }) => {
    expect(await run(open())).toEqual(expected);
  });
});

describe('the store on disk', () => {
  it('has no key for what a killed process left, nor for locks', async () => {
    const store = diskStore(scratch);
    await store.write('a.0', Uint8Array.of(1));
    writeFileSync(join(scratch, 'a.1.12345678.tmp'), 'half');
    await store.exclusively('a', { where: 'here' }, async () => {
      expect(readdirSync(scratch).length).toBe(3);
      expect(await store.keys()).toEqual(['a.0']);
    });
  });

  it('says what to do where it may not write', async () => {
    writeFileSync(join(scratch, 'file'), '');
    const error = await failureOf(diskStore(join(scratch, 'file', 'store')).write('a.0', Uint8Array.of(1)));
    expect(error).toBeInstanceOf(FileError);
    expect(error.message).toMatch(/lies below something that is no folder; set XDG_CACHE_HOME/);
    mkdirSync(join(scratch, 'a.0'));
    expect(await failureOf(diskStore(scratch).write('a.0', Uint8Array.of(1)))).toBeInstanceOf(FileError);
  });
});
