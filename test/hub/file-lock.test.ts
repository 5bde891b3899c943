import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { AbortError } from '../../src/errors.ts';
import { LostLock, withLock } from '../../src/hub/file-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'below', 'file.lock');
const where = { where: 'a file' };
/** A process that has ended. */
async function deadProcess(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}
const content = (pid: number, host = hostname()) => JSON.stringify({ host, pid, id: 'another' });

it('lets one at a time work, and leaves nothing', async () => {
  let working = 0;
  let most = 0;
  let waited = 0;
  const work = () =>
    withLock(path, { ...where, onWait: () => waited++ }, async () => {
      working += 1;
      most = Math.max(most, working);
      await new Promise((resolve) => setTimeout(resolve, 30));
      working -= 1;
      return 'done';
    });
  expect(await Promise.all([work(), work(), work()])).toEqual(['done', 'done', 'done']);
  expect(most).toBe(1);
  expect(waited).toBeGreaterThan(0);
  expect(readdirSync(join(folder, 'below'))).toEqual([]);
});

it('is let go when the work fails', async () => {
  await expect(withLock(path, where, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(existsSync(path)).toBe(false);
});

it('is taken over from a process that was killed', async () => {
  writeFileSync(path, content(await deadProcess()));
  expect(await withLock(path, where, async () => 'done')).toBe('done');
  expect(readdirSync(join(folder, 'below'))).toEqual([]);
});

it.each([
  ['another machine', content(1, 'elsewhere')],
  ['a process that was killed while it wrote', '{"host'],
])('is taken over from %s after a minute of silence', async (_, text) => {
  writeFileSync(path, text);
  const young = AbortSignal.timeout(500);
  await expect(withLock(path, { ...where, signal: young }, async () => 'done')).rejects.toThrow(AbortError);
  const old = Date.now() / 1000 - 61;
  utimesSync(path, old, old);
  expect(await withLock(path, where, async () => 'done')).toBe('done');
});

it('tells a holder that was silent for too long that it has lost it, and leaves the new one alone', async () => {
  await withLock(path, where, async (lock) => {
    await lock.assertHeld();
    writeFileSync(path, content(process.pid));
    await expect(lock.assertHeld()).rejects.toThrow(LostLock);
  });
  expect(existsSync(path)).toBe(true);
  rmSync(path);
});
