import { openDiT } from '../../converters/open-dit.ts';
import { useBackend } from '../../src/backend/select.ts';
import { psnr } from '../../src/metrics/psnr.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import type { PixelImage } from '../../src/pipelines/image.ts';

/** Of the shipped model, made by the current backend. */
async function painted(): Promise<PixelImage> {
  const checkpoint = await openDiT('checkpoints/dit-emoji');
  const pipe = await DiTPipeline.fromCheckpoint(checkpoint);
  await checkpoint.close();
  const { images } = await pipe.generate({ classLabels: [3], seed: 5, numInferenceSteps: 2, guidanceScale: 1 });
  pipe.dispose();
  return images[0]!;
}

it('the shipped model draws the picture that it draws in native float32, to 50 dB and better', async () => {
  const onWebGPU = await painted();
  const other = await useBackend('tensorflow').catch(() => useBackend('wasm'));
  expect(other.name).not.toBe('webgpu');
  const expected = await painted();
  expect(psnr(onWebGPU, expected)).toBeGreaterThanOrEqual(50);
  await useBackend('webgpu');
}, 600_000); // a driver that computes on the CPU
