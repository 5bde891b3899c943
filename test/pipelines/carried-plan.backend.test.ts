import { artifactJson } from '../../src/cache/artifact.ts';
import { fingerprintOf } from '../../src/cache/fingerprint.ts';
import { forecast } from '../../src/cache/policies/forecast.ts';
import { FormatError, OptionError } from '../../src/errors.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { expectCleanFailure } from '../support/memory.ts';
import { withTinyCheckpoint } from '../support/tiny-dit.ts';

const WEIGHTS = ['aa', 'bb'];
const SAMPLING = { sampler: 'deis', timesteps: [950, 800, 640, 400, 250, 90, 10], guidanceScale: 3 } as const;
const RUN = { classLabels: [1], seed: 4 };

function loaded(cachePlan?: string, sha256: readonly string[] = WEIGHTS): Promise<DiTPipeline> {
  return withTinyCheckpoint((checkpoint) => DiTPipeline.fromCheckpoint({ ...checkpoint, sha256, cachePlan }));
}

let plain: DiTPipeline;
let carrying: DiTPipeline;
let text: string;
beforeAll(async () => {
  plain = await loaded();
  const sampling = { ...SAMPLING, cache: forecast({ interval: 3 }) };
  const artifact = {
    method: 'tuned',
    fingerprint: fingerprintOf(plain.planSetting(sampling)),
    plan: plain.plan(sampling)!,
  };
  text = artifactJson(artifact);
  carrying = await loaded(text);
});
afterAll(() => {
  plain.dispose();
  carrying.dispose();
});

it('is what auto samples by, in all that is left open', async () => {
  const { images, report } = await carrying.generate({ ...RUN, cache: 'auto' });
  expect(report).toMatchObject({ cache: 'tuned', ...SAMPLING, plan: carrying.plan({ cache: 'auto' }) });
  expect(report.stepBlocks).toEqual([3, 0, 0, 3, 0, 0, 3]);
  const same = await plain.generate({ ...RUN, ...SAMPLING, cache: forecast({ interval: 3 }) });
  expect(images).toEqual(same.images);
});

it('changes nothing where auto is not asked for', async () => {
  const [with_, without] = [await carrying.generate(RUN), await plain.generate(RUN)];
  expect(with_.images).toEqual(without.images);
  expect(with_.report.timesteps).toEqual(without.report.timesteps);
  expect(with_.report.cache).toBeNull();
});

it.each([
  [{ sampler: 'unipc' }, /^cache tuned: calibrated for another run: sampler deis, not unipc/],
  [{ numInferenceSteps: 9 }, /^cache tuned: calibrated for another run: steps 7, not 9/],
  [{ timesteps: [950, 800, 640, 400, 250, 90, 9] }, /other timesteps/],
  [{ guidanceScale: 2 }, /guidance scale 3, not 2/],
] as const)('refuses a run with %j', async (options, message) => {
  await expectCleanFailure(() => carrying.generate({ ...RUN, cache: 'auto', ...options }), OptionError, message);
});

it('refuses other weights, no plan, and a damaged one', async () => {
  const other = await loaded(text, ['aa', 'cc']);
  await expectCleanFailure(() => other.generate({ ...RUN, cache: 'auto' }), OptionError, /other weights/);
  other.dispose();
  await expectCleanFailure(() => plain.generate({ ...RUN, cache: 'auto' }), OptionError, /this one has none/);
  const damaged = await loaded(text.slice(0, -40));
  await expectCleanFailure(() => damaged.generate({ ...RUN, cache: 'auto' }), FormatError, /cache-plan.json/);
  damaged.dispose();
});
