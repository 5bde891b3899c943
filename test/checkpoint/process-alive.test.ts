import { spawnSync } from 'node:child_process';
import { isAlive } from '../../src/checkpoint/process-alive.ts';

it('knows processes that run from those that ended', () => {
  expect(isAlive(process.pid)).toBe(true);
  expect(isAlive(1)).toBe(true); // also where it may not be signalled
  expect(isAlive(spawnSync(process.execPath, ['-e', '']).pid)).toBe(false);
});

it.each([0, -1, 1.5, Number.NaN, 2 ** 40])('finds none of id %d', (pid) => {
  expect(isAlive(pid)).toBe(false);
});
