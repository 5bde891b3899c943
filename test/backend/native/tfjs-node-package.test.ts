import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTfjsNode, hasNativePart } from '../../../src/backend/native/tfjs-node-package.ts';

let user: string;

beforeEach(() => {
  user = realpathSync(mkdtempSync(join(tmpdir(), 'delta-dit-user-')));
});

afterEach(() => rmSync(user, { recursive: true, force: true }));

function install(name: string): string {
  const folder = join(user, 'node_modules', '@tensorflow', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: `@tensorflow/${name}`, version: '4.22.0' }));
  return folder;
}

const ofTheUser = () => findTfjsNode(user).filter(({ folder }) => folder.startsWith(user));

it("finds packages in the user's project, the GPU one first", () => {
  const plain = install('tfjs-node');
  const gpu = install('tfjs-node-gpu');
  expect(ofTheUser().map(({ folder }) => folder)).toEqual([gpu, plain]);
  expect(ofTheUser()[0]).toMatchObject({ name: '@tensorflow/tfjs-node-gpu', version: '4.22.0' });
});

it('finds nothing in a folder without packages', () => {
  expect(ofTheUser()).toEqual([]);
});

it('counts a native part only while it is there', () => {
  const folder = install('tfjs-node');
  const part = join(user, 'part.node');
  mkdirSync(join(folder, 'lib', 'napi-v8'), { recursive: true });
  symlinkSync(part, join(folder, 'lib', 'napi-v8', 'tfjs_binding.node'));
  expect(ofTheUser().map(hasNativePart)).toEqual([false]);
  writeFileSync(part, '');
  expect(ofTheUser().map(hasNativePart)).toEqual([true]);
});
