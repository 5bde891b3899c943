import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPackages } from '../../../src/backend/doctor/packages.ts';

let user: string;

beforeEach(() => {
  user = realpathSync(mkdtempSync(join(tmpdir(), 'delta-dit-user-')));
});

afterEach(() => rmSync(user, { recursive: true, force: true }));

function install(parent: string, name: string, version: string): string {
  const folder = join(parent, 'node_modules', '@tensorflow', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: `@tensorflow/${name}`, version }));
  return folder;
}

const core = () => checkPackages([user]).find(({ name }) => name === '@tensorflow/tfjs-core')!;

it('finds one copy of each, of the right version', () => {
  for (const check of checkPackages([])) {
    expect(check).toMatchObject({ status: 'ok', expected: '4.22.0', copies: [{ version: '4.22.0' }] });
  }
  expect(checkPackages([]).map(({ name }) => name)).toEqual([
    '@tensorflow/tfjs-core',
    '@tensorflow/tfjs-layers',
    '@tensorflow/tfjs',
  ]);
});

it("fails for another version in the user's project, with the command", () => {
  const folder = install(user, 'tfjs-core', '4.21.0');
  expect(core()).toMatchObject({
    status: 'failed',
    problem: `version 4.21.0 in ${folder}, and delta-dit needs 4.22.0`,
    fix: 'Run `npm install @tensorflow/tfjs-core@4.22.0`.',
  });
});

it('warns of a second copy of the same version', () => {
  install(user, 'tfjs-core', '4.22.0');
  expect(core()).toMatchObject({ status: 'warning', copies: { length: 2 }, fix: 'Run `npm dedupe`.' });
});

it("sees a copy that only the user's tfjs would load", () => {
  const tfjs = install(user, 'tfjs', '4.22.0');
  install(tfjs, 'tfjs-core', '4.20.0');
  expect(core()).toMatchObject({ status: 'failed', problem: expect.stringContaining('version 4.20.0') });
});
