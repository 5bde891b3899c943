import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../src/backend/select.ts';
import type { DawnPackage } from '../../src/backend/webgpu/dawn.node.ts';
import { pretendBrowser } from '../support/pretend-browser.ts';

const dawn = { found: undefined as DawnPackage | undefined, runs: true };
jest.mock('../../src/backend/webgpu/dawn.node.ts', () => ({ findDawn: () => dawn.found, runsHere: () => dawn.runs }));

jest.mock('../../src/backend/native/tfjs-node-package.ts', () => ({
  findTfjsNode: () => [],
  hasNativePart: () => false,
}));

beforeEach(() => Object.assign(dawn, { found: undefined, runs: true }));
afterEach(() => tf.engine().reset());

describe('WebGPU', () => {
  it('is asked for by name in Node, and says how it is installed', async () => {
    expect((await useBackend()).absent.map(({ name }) => name)).toEqual(['tensorflow']);
    await expect(useBackend('webgpu')).rejects.toThrow(
      'The backend webgpu is not there: npm webgpu is not installed. Run `npm install webgpu`.',
    );
  });

  it('says where npm webgpu has nothing for the machine', async () => {
    Object.assign(dawn, { found: { folder: '', version: '0.6.2', addon: '' }, runs: false });
    await expect(useBackend('webgpu')).rejects.toThrow(/not there: npm webgpu 0\.6\.2 has nothing for \w+ on \w+\.$/);
  });

  it('is the first that a browser tries, which goes on without it and says why', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation(); // wasm misses the Worker of a browser here
    const restore = pretendBrowser({ gpu: { requestAdapter: async () => null } });
    try {
      const { name, absent } = await useBackend();
      expect(name).not.toBe('webgpu');
      expect(absent.slice(0, 2).map((backend) => backend.name)).toEqual(['tensorflow', 'webgpu']);
      expect(absent[1]!.reason).toMatch(/^WebGPU finds no adapter: no GPU.*chrome:\/\/gpu/);
    } finally {
      restore();
      warn.mockRestore();
    }
  });

  it('is not there in a browser that has none', async () => {
    const restore = pretendBrowser({});
    try {
      await expect(useBackend('webgpu')).rejects.toThrow(/not there: this browser has no WebGPU, or has it for pages/);
    } finally {
      restore();
    }
  });
});
