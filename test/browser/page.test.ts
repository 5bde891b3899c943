import { PageTests } from './browser-tests.ts';

const tests = PageTests.forTests({ vite: true });

describe.each(['esbuild', 'vite'] as const)('a bundle of %s', (bundler) => {
  it('paints the demo model', async () => {
    const page = await tests.open({ bundler });
    const painted = await page.evaluate(async () => {
      const pipe = await deltaDit.DiTPipeline.fromPretrained('/checkpoints/dit-emoji', {
        backend: 'wasm',
        wasmPaths: '/wasm/',
      });
      const { images, report } = await pipe.generate({ classLabels: ['heart'], seed: 7, numInferenceSteps: 2 });
      pipe.dispose();
      return { pixels: [...(images[0]?.data ?? [])].length, report: report.samplingSeconds };
    });
    console.log(
      painted,
      tests.server.take().map((r) => r.path),
    );
    expect(painted.pixels).toBe(64 * 64 * 4);
  });
});
