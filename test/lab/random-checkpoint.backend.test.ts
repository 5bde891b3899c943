import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { OptionError } from '../../src/errors.ts';
import { benchLatency } from '../../src/lab/bench-latency.ts';
import { randomArchive } from '../../src/lab/random-archive.ts';
import { RANDOM_SIZE_NAMES, randomCheckpoint } from '../../src/lab/random-checkpoint.ts';
import { randomPainter } from '../../src/lab/random-painter.ts';
import { meanOf, stdOf } from '../../src/lab/spread.ts';
import { PixArt } from '../../src/models/pixart.ts';
import { pixArtCost } from '../../src/models/pixart-config.ts';
import type { PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { elementCount } from '../../src/shape.ts';
import { expectNoLeak } from '../support/memory.ts';

const parametersOf = ({ transformer }: OpenedCheckpoint) =>
  [...transformer.archive.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);

async function valuesOf({ transformer }: OpenedCheckpoint, name: string): Promise<number[]> {
  const tensor = transformer.archive.tensors.get(name)!;
  return Array.from(toFloat32(await tensor.read(), tensor.dtype));
}

it('knows the 24 models of the DiT paper and the three of PixArt-α, by name', () => {
  expect(RANDOM_SIZE_NAMES).toHaveLength(27);
  expect(RANDOM_SIZE_NAMES).toEqual(expect.arrayContaining(['DiT-S/8-256', 'DiT-B/4-512', 'DiT-XL/2-256']));
  expect(RANDOM_SIZE_NAMES.slice(-3)).toEqual(['PixArt-XL/2-256', 'PixArt-XL/2-512', 'PixArt-XL/2-1024']);
  const refused = () => randomCheckpoint('DiT-XXL/2-256');
  expect(refused).toThrow(OptionError);
  expect(refused).toThrow(/^size: expected one of DiT-S\/2-256, .*PixArt-XL\/2-1024; got "DiT-XXL\/2-256"$/);
});

// parameters: facebookresearch/DiT, without the position table
it.each([
  ['DiT-XL/2-256', 28, 32, 674_834_720],
  ['dit-s/8-512', 12, 64, 33_142_016],
])('%s has its sizes', (name, depth, inputSize, parameters) => {
  const checkpoint = randomCheckpoint(name);
  expect(checkpoint.transformer.config).toMatchObject({ depth, inputSize, numClasses: 1000 });
  expect(parametersOf(checkpoint)).toBe(parameters);
});

it.each([
  ['PixArt-XL/2-256', 32, 1, false],
  ['pixart-xl/2-512', 64, 1, false],
  ['PixArt-XL/2-1024', 128, 2, true],
])('%s has the sizes of the released one', (name, inputSize, interpolationScale, microConditions) => {
  const checkpoint = randomCheckpoint(name);
  const { config } = checkpoint.transformer;
  expect(config).toMatchObject({ depth: 28, captionChannels: 4096, inputSize, interpolationScale, microConditions });
  expect(parametersOf(checkpoint)).toBe(microConditions ? 611_349_152 : 610_856_096);
});

it('draws the same weights each time, spread as trained ones, no two tensors alike', async () => {
  const [one, again] = [randomCheckpoint('DiT-S/8-256'), randomCheckpoint('DiT-S/8-256')];
  const kernel = await valuesOf(one, 'blocks.3.mlp.fc1.kernel');
  expect(await valuesOf(again, 'blocks.3.mlp.fc1.kernel')).toEqual(kernel);
  expect(stdOf(kernel) * Math.sqrt(384)).toBeCloseTo(1, 2);
  expect(Math.abs(meanOf(kernel))).toBeLessThan(1e-3);
  const other = await valuesOf(one, 'blocks.4.mlp.fc1.kernel');
  expect(other.filter((value, i) => value === kernel[i]).length).toBeLessThan(10);
  const bias = await valuesOf(one, 'blocks.3.mlp.fc1.bias');
  expect(stdOf(bias)).toBeGreaterThan(0.015);
  expect(stdOf(bias)).toBeLessThan(0.025);
});

it('runs as a pipeline, stays finite, and leaks nothing', async () => {
  await expectNoLeak(async () => {
    const { pipe, allSubjects, paint } = await randomPainter(randomCheckpoint('DiT-S/8-256'), {}, {});
    try {
      expect(pipe.defaults).toEqual({ numInferenceSteps: 20, guidanceScale: 4 });
      expect(allSubjects).toHaveLength(1000);
      const { images } = await paint(['0', '999'], { seed: 1, numInferenceSteps: 3 });
      expect(images.map(({ width, height }) => [width, height])).toEqual(Array(2).fill([32, 32]));
    } finally {
      pipe.dispose();
    }
  });
});

/** The PixArt of 256 px, made small. */
function smallPixArt(): OpenedCheckpoint {
  const checkpoint = randomCheckpoint('PixArt-XL/2-256');
  if (checkpoint.pipeline !== 'PixArtPipeline') throw new Error('is a DiT');
  const sizes = { hiddenSize: 48, depth: 2, numHeads: 4, captionChannels: 16 };
  const config = { ...checkpoint.transformer.config, ...sizes };
  return { ...checkpoint, transformer: { config, archive: randomArchive(PixArt.parameterShapes(config)) } };
}

it.each(['original', 'diffusers'] as const)(
  'paints a random caption of 120 tokens under %s numerics',
  async (numerics) => {
    await expectNoLeak(async () => {
      const painter = await randomPainter(smallPixArt(), { numerics }, { width: 256, height: 128 });
      try {
        const options = { batchSize: 2, runs: 1, numInferenceSteps: 2 };
        const { subjects, macs, sampler, guidanceScale } = await benchLatency(painter, options);
        expect(subjects).toEqual(Array(2).fill('a random caption'));
        expect([sampler, guidanceScale]).toEqual(['dpm-solver++', 4.5]);
        const size = { height: 22, width: 44, captionLength: 120 }; // the bin of 1:2
        const { blockLinear } = pixArtCost((painter.pipe as PixArtPipeline).transformer.config, size);
        expect(macs.uncached.linear).toBe(2 * 2 * blockLinear);
      } finally {
        painter.pipe.dispose();
      }
    });
  },
);
