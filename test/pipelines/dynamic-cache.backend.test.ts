import { easyCache } from '../../src/cache/policies/easy-cache.ts';
import { firstBlockCache } from '../../src/cache/policies/first-block-cache.ts';
import { OptionError } from '../../src/errors.ts';
import type { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import type { StepEvent } from '../../src/pipelines/sample.ts';
import { relativeL2Of } from '../support/compare.ts';
import { expectCleanFailure } from '../support/memory.ts';
import { loadTinyPipeline } from '../support/tiny-dit.ts';

const QUICK = { classLabels: [1, 4], numInferenceSteps: 6, seed: [7, 8], guidanceScale: 2 } as const;
const BOLD = firstBlockCache({ threshold: 0.75 });

let pipe: DiTPipeline;
beforeAll(async () => {
  pipe = await loadTinyPipeline('original');
});
afterAll(() => pipe.dispose());

describe('DiTPipeline.generate under a method that decides as it runs', () => {
  it('reports what was decided and seen', async () => {
    const seen: [number, boolean][] = [];
    const onStep = ({ blocks, cached }: StepEvent) => void seen.push([blocks, cached]);
    const { report } = await pipe.generate({ ...QUICK, cache: BOLD, onStep });
    const { plan, cache, stepBlocks, blocksComputed, blocksReused, signals, macs, peakCachedBytes } = report;
    expect([plan, cache]).toEqual([null, 'first-block-cache']);
    expect(seen).toEqual(stepBlocks.map((blocks) => [blocks, blocks < 3]));
    expect(blocksComputed + blocksReused).toBeCloseTo(6 * 3, 9);
    expect(blocksReused).toBeGreaterThan(0);
    expect(signals!.map((rows) => rows.length)).toEqual([0, 4, 4, 4, 4, 4]);
    expect(macs!.macsRatio).toBeCloseTo(18 / blocksComputed, 9);
    expect(peakCachedBytes).toBeGreaterThan(0);
  });

  it('gives each picture what it gets alone, and the same again', async () => {
    const { images } = await pipe.generate({ ...QUICK, cache: BOLD });
    expect((await pipe.generate({ ...QUICK, cache: BOLD })).images).toEqual(images);
    for (const [i, image] of images.entries()) {
      const alone = { ...QUICK, classLabels: [QUICK.classLabels[i]!], seed: [QUICK.seed[i]!], cache: BOLD };
      const [one] = (await pipe.generate(alone)).images;
      expect(relativeL2Of(image.data, one!.data)).toBeLessThan(1e-2); // whole numbers from 0 to 255
    }
  });

  it('refuses to skip the whole model where a sampler reads its variance', async () => {
    const options = { ...QUICK, cache: easyCache(), sampler: 'ddpm' } as const;
    await expectCleanFailure(() => pipe.generate(options), OptionError, /cache easycache skips the whole model/);
  });

  it('checks the options of a method before anything is computed', async () => {
    const onStep = () => {
      throw new Error('a step was made');
    };
    const cache = { name: 'deep', begin: () => firstBlockCache({ threshold: -1 }).begin(undefined as never) };
    await expectCleanFailure(() => pipe.generate({ ...QUICK, cache, onStep }), OptionError, /threshold/);
  });
});
