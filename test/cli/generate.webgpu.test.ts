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
