import * as tf from '@tensorflow/tfjs-core';
import { toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { OptionError } from '../../src/errors.ts';
import { DIT_SIZE_NAMES, randomCheckpoint } from '../../src/lab/random-checkpoint.ts';
import { meanOf, stdOf } from '../../src/lab/spread.ts';
import type { DiTCheckpoint } from '../../src/models/dit-checkpoint.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { elementCount } from '../../src/shape.ts';
import { expectNoLeak } from '../support/memory.ts';

const parametersOf = ({ transformer }: DiTCheckpoint) =>
  [...transformer.archive.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);

async function valuesOf({ transformer }: DiTCheckpoint, name: string): Promise<number[]> {
  const tensor = transformer.archive.tensors.get(name)!;
  return Array.from(toFloat32(await tensor.read(), tensor.dtype));
}

it('knows the 24 models of the paper, by name', () => {
  expect(DIT_SIZE_NAMES).toHaveLength(24);
  expect(DIT_SIZE_NAMES).toEqual(expect.arrayContaining(['DiT-S/8-256', 'DiT-B/4-512', 'DiT-XL/2-256']));
  const refused = () => randomCheckpoint('DiT-XXL/2-256');
  expect(refused).toThrow(OptionError);
  expect(refused).toThrow(/^size: expected one of DiT-S\/2-256, .*; got "DiT-XXL\/2-256"$/);
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
    const pipe = await DiTPipeline.fromCheckpoint(randomCheckpoint('DiT-S/8-256'));
    try {
      expect(pipe.defaults).toEqual({ numInferenceSteps: 20, guidanceScale: 4 });
      const { images } = await pipe.generateFloats({ classLabels: [0, 999], seed: 1, numInferenceSteps: 3 });
      expect(images.map(({ shape }) => shape)).toEqual(Array(2).fill([32, 32, 3]));
      tf.dispose([...images]);
    } finally {
      pipe.dispose();
    }
  });
});
