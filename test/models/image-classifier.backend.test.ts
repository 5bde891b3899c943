import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { openClassifier } from '../../converters/open-classifier.ts';
import { parseAnyManifest } from '../../src/checkpoint/manifest.ts';
import { AbortError, ShapeError } from '../../src/errors.ts';
import { FeatureExtractor } from '../../src/metrics/feature-extractor.ts';
import { ImageClassifier } from '../../src/models/image-classifier.ts';
import { fromPixels, type PixelImage } from '../../src/pipelines/image.ts';
import { relativeL2Of } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';

/**
 * The shipped classifier against the PyTorch model that was trained, on the same float16-rounded weights.
 * Made by: python test/fixtures/make_classifier.py
 */
const FOLDER = 'checkpoints/emoji-classifier';
let fixture: Fixture;
let pictures: PixelImage[];
let extractor: FeatureExtractor;

beforeAll(async () => {
  fixture = await readFixture('emoji-classifier.safetensors');
  pictures = [0, 1, 2].map((i) => fixture.picture(`pixels.${i}`));
  const checkpoint = await openClassifier(FOLDER);
  extractor = await FeatureExtractor.fromCheckpoint(checkpoint);
  await checkpoint.close();
});
afterAll(() => extractor.dispose());

const flat = (rows: readonly Float32Array[]) => rows.flatMap((row) => [...row]);

it('was made from the checkpoint that is shipped', () => {
  const manifest = parseAnyManifest('manifest', readFileSync(`${FOLDER}/manifest.json`, 'utf8'));
  if (manifest.pipeline !== 'ImageClassifier') throw new Error(manifest.pipeline);
  const shipped = Object.fromEntries(manifest.classifier.files.map(({ name, sha256 }) => [name, sha256]));
  expect(JSON.parse(fixture.metadata.get('checkpoint_sha256') ?? '')).toEqual(shipped);
});

describe('ImageClassifier', () => {
  let classifier: ImageClassifier;
  beforeAll(async () => {
    const checkpoint = await openClassifier(FOLDER);
    classifier = await ImageClassifier.fromCheckpoint(checkpoint);
    await checkpoint.close();
  });
  afterAll(() => classifier.dispose());

  it("gives PyTorch's features and probabilities", async () => {
    await expectNoLeak(async () => {
      const images = tf.tidy(() => tf.concat(pictures.map(fromPixels), 0));
      const { features, probabilities } = classifier.predict(images);
      expect(relativeL2Of(await features.data(), fixture.numbers('features'))).toBeLessThan(1e-4);
      expect(relativeL2Of(await probabilities.data(), fixture.numbers('probabilities'))).toBeLessThan(1e-4);
      tf.dispose([images, features, probabilities]);
    });
  });

  it('refuses pictures of another size', async () => {
    const image = tf.zeros<tf.Rank.R4>([1, 32, 64, 3]);
    await expectCleanFailure(() => classifier.predict(image), ShapeError, /images: expected \[any, 64, 64, 3\], got/);
    image.dispose();
  });
});

describe('FeatureExtractor', () => {
  it('gives a row for each picture, in order, and keeps nothing', async () => {
    await expectNoLeak(async () => {
      const { features, probabilities } = await extractor.extract(pictures);
      expect([features.length, probabilities.length]).toEqual([3, 3]);
      expect(features[0]).toHaveLength(extractor.featureCount);
      expect(probabilities[0]).toHaveLength(extractor.labels.length);
      expect(relativeL2Of(flat(features), fixture.numbers('features'))).toBeLessThan(1e-4);
      expect(relativeL2Of(flat(probabilities), fixture.numbers('probabilities'))).toBeLessThan(1e-4);
    });
  });

  it('gives the same for more pictures than a batch, and either kind of rows alone', async () => {
    const many = Array.from({ length: 70 }, (_, i) => pictures[i % 3]!);
    const done: number[] = [];
    const features = await extractor.features(many, { onProgress: (count) => done.push(count) });
    expect(features).toHaveLength(70);
    expect(relativeL2Of(features[69]!, features[0]!)).toBeLessThan(1e-5);
    expect(done).toEqual([0, 32, 64]);
    const probabilities = await extractor.probabilities(pictures.slice(0, 1));
    expect(
      relativeL2Of(probabilities[0]!, fixture.numbers('probabilities').slice(0, extractor.labels.length)),
    ).toBeLessThan(1e-4);
    expect(await extractor.features([])).toEqual([]);
  });

  it('makes pictures of another size fit', async () => {
    const [cat] = pictures;
    const twice: PixelImage = {
      width: 128,
      height: 128,
      data: Uint8ClampedArray.from({ length: 4 * 128 * 128 }, (_, i) => {
        const [x, y] = [Math.floor(i / 4) % 128, Math.floor(i / 512)];
        return cat!.data[((y >> 1) * 64 + (x >> 1)) * 4 + (i % 4)]!;
      }),
    };
    const [large, small] = await extractor.features([twice, cat!]);
    expect(relativeL2Of(large!, small!)).toBeLessThan(0.3);
  });

  it('knows the cat by its name', async () => {
    const [row] = await extractor.probabilities(pictures.slice(0, 1));
    const best = row!.indexOf(Math.max(...row!));
    expect(extractor.labels[best]).toMatchObject({ names: expect.arrayContaining(['cat face']), group: 'animal face' });
  });

  it('stops before a batch', async () => {
    const stopped = AbortSignal.abort();
    await expectCleanFailure(
      () => extractor.extract(pictures, { signal: stopped }),
      AbortError,
      /features: stopped after 0 of 3 pictures/,
    );
  });
});
