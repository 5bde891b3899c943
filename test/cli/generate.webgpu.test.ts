import { readFileSync } from 'node:fs';
import { readPngText } from '../../src/pipelines/png.ts';
import { readPng } from '../support/read-png.ts';
import { softwareAdapter } from '../support/software-adapter.ts';
import { convertTinyModel, runCli, scratchFolder, startCli } from './run-cli.ts';

const scratch = scratchFolder();
const model = scratch.path('tiny');
beforeAll(async () => {
  Object.assign(process.env, (await softwareAdapter()).environment); // of the programs that these tests start
  await convertTinyModel(model);
});
afterAll(scratch.remove);

const onWebGPU = ['generate', '--model', model, '--backend', 'webgpu', '--class', '1', '--seed', '3', '--steps'];

describe('generate --backend webgpu', () => {
  it('writes the picture of the other backends, says what it ran on, and ends by itself', async () => {
    const [ours, other] = [scratch.path('webgpu.png'), scratch.path('wasm.png')];
    const result = await runCli(...onWebGPU, '2', '-o', ours);
    expect(result).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^Backend: WebGPU, SwiftShader.*, software$/m),
    });
    const shared = onWebGPU.map((value) => (value === 'webgpu' ? 'wasm' : value));
    expect((await runCli(...shared, '2', '-o', other)).code).toBe(0);
    const [a, b] = [await readPng(ours), await readPng(other)];
    const difference = Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!));
    expect(Math.max(...difference)).toBeLessThanOrEqual(1);
  });

  it('holds weights in float16, which it says and keeps in the picture', async () => {
    const path = scratch.path('float16.png');
    const { code, stderr } = await runCli(...onWebGPU, '1', '--dtype', 'float16', '-o', path);
    expect([code, stderr]).toEqual([0, expect.stringContaining('weights in float16, seed 3')]);
    const settings = JSON.parse(readPngText(path, readFileSync(path)).get('delta-dit') ?? '');
    expect(settings).toMatchObject({ backend: 'webgpu', dtype: 'float16' });
  });

  it('is among what doctor names, with the types that weights are held in', async () => {
    const { stdout } = await runCli('doctor', '--json');
    const [webgpu] = JSON.parse(stdout).backends.filter(({ backend }: { backend: string }) => backend === 'webgpu');
    expect(webgpu).toMatchObject({ status: 'ok', dtypes: ['float32', 'bfloat16', 'float16'] });
    expect(webgpu.description).toContain('weights in float32 or bfloat16 or float16 (--dtype)');
  });

  it('stops when it is interrupted', async () => {
    const running = startCli(...onWebGPU, '500', '-o', scratch.path('never.png'));
    await running.says(/500 steps/);
    running.interrupt();
    expect(await running.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('generation was stopped') });
  });

  it('is refused in one line where there is no adapter', async () => {
    const { VK_ICD_FILENAMES } = process.env;
    process.env.VK_ICD_FILENAMES = scratch.path('nothing.json');
    try {
      const { code, stderr } = await runCli(...onWebGPU, '2', '-o', scratch.path('never.png'));
      expect(stderr).toMatch(/^error: WebGPU finds no adapter: no GPU, .*\n$/m); // after what Vulkan's loader says itself
      expect({ code, isBug: stderr.includes('bug of delta-dit') }).toEqual({ code: 1, isBug: false });
    } finally {
      process.env.VK_ICD_FILENAMES = VK_ICD_FILENAMES;
    }
  });
});
