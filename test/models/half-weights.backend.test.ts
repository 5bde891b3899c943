import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../../src/checkpoint/archive.ts';
import type { HalfDtype, WeightDtype } from '../../src/checkpoint/hold.ts';
import { BackendError } from '../../src/errors.ts';
import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { DiT } from '../../src/models/dit.ts';
import { PixArt } from '../../src/models/pixart.ts';
import { T5Encoder } from '../../src/models/t5-encoder.ts';
import { StreamedT5Encoder } from '../../src/models/t5-streamed.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { relativeL2 } from '../support/compare.ts';
import { composed } from '../support/fused.ts';
import { HALVES, holdsHalves } from '../support/half-weights.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { randomTensor } from '../support/random-weights.ts';
import { withTinyCheckpoint } from '../support/tiny-dit.ts';
import { forwardInputs, readPixArtFixture, withPixArtCheckpoint } from '../support/tiny-pixart.ts';
import { withTinyT5 } from '../support/tiny-t5.ts';

/** A model's output with weights of the type, and the bytes that its weights take. */
type Run = (
  dtype: WeightDtype,
) => Promise<{ readonly out: tf.Tensor; readonly bytes: number; readonly counted: number }>;

/** Runs a model that is made for it. @param extra bytes that it holds beside its weights */
async function run<M extends { dispose(): void }>(
  load: () => Promise<M>,
  use: (model: M) => Promise<tf.Tensor> | tf.Tensor,
  counted: number,
): ReturnType<Run> {
  const before = tf.memory().numBytes;
  const model = await load();
  const bytes = tf.memory().numBytes - before;
  try {
    return { out: await use(model), bytes, counted };
  } finally {
    model.dispose();
  }
}

const dit: Run = (dtype) =>
  withTinyCheckpoint(({ transformer: { config, archive } }) =>
    run(
      () => withWeights(archive, (weights) => DiT.fromWeights(config, weights), dtype),
      async (model) => {
        const x = randomTensor<tf.Tensor4D>([2, config.inputSize, config.inputSize, config.inChannels], 5);
        return model.predict(x, [3, 900], [1, config.numClasses]).finally(() => x.dispose());
      },
      DiT.weightBytes(config, dtype),
    ),
  );

const pixArt: Run = (dtype) =>
  withPixArtCheckpoint('tiny', async ({ transformer: { config, archive } }) => {
    const { x, t, embeds, mask } = forwardInputs(await readPixArtFixture('tiny'), 'original', 'square');
    return run(
      () => withWeights(archive, (weights) => PixArt.fromWeights(config, weights), dtype),
      async (model) => {
        const caption = model.projectCaption(embeds, mask);
        const out = await model.predict(x, t, caption);
        tf.dispose([x, embeds, mask, caption.tokens, caption.bias]);
        return out;
      },
      PixArt.weightBytes(config, dtype),
    );
  });

const PROMPTS = [{ inputIds: [5, 9, 17, 1], attentionMask: [1, 1, 1, 1] }];

const t5: Run = (dtype) =>
  withTinyT5(({ config, archive }) =>
    run(
      () => withWeights(archive, (weights) => T5Encoder.fromWeights(config, weights), dtype),
      (model) => model.encode(PROMPTS),
      T5Encoder.weightBytes(config, dtype),
    ),
  );

const streamedT5: Run = (dtype) =>
  withTinyT5(({ config, archive }) =>
    run(
      async () => new StreamedT5Encoder(config, archive, dtype),
      (model) => model.encode(PROMPTS),
      0,
    ),
  );

const decoder = (decode: (vae: AutoencoderKL, z: tf.Tensor4D) => Promise<tf.Tensor> | tf.Tensor): Run => {
  return (dtype) =>
    withTinyCheckpoint(({ vae }) =>
      run(
        () => AutoencoderKL.fromCheckpoint(vae, { dtype }),
        async (model) => {
          const z = randomTensor<tf.Tensor4D>([1, 8, 8, 4], 6);
          const out = await decode(model, z);
          z.dispose();
          return out;
        },
        AutoencoderKL.weightBytes(vae.config, { dtype }),
      ),
    );
};

/** Models, with the types that have every number of their fixtures' weights. */
const CASES: readonly { readonly name: string; readonly model: Run; readonly lossless: readonly HalfDtype[] }[] = [
  { name: 'DiT', model: dit, lossless: [] },
  { name: 'PixArt', model: pixArt, lossless: ['float16'] },
  { name: 'T5 in memory', model: t5, lossless: HALVES },
  { name: 'T5 from disk', model: streamedT5, lossless: HALVES },
  { name: 'decoder', model: decoder((vae, z) => vae.decode(z)), lossless: ['float16'] },
  {
    name: 'decoder in bands',
    model: decoder((vae, z) => vae.decodeTiled(z, { tileBudgetBytes: 20_000 })),
    lossless: ['float16'],
  },
];

/** What of a model's output rounding its weights may change. */
const TOLERANCES: Readonly<Record<HalfDtype, number>> = { bfloat16: 1e-2, float16: 1e-3 };

describe.each(CASES)('$name', ({ model, lossless }) => {
  it.each(HALVES)(
    'computes the same, or nearly, with weights as %s, in the memory that is counted, and leaks nothing',
    async (dtype) => {
      if (!holdsHalves('models with weights of 16 bits')) return;
      await expectNoLeak(async () => {
        const [exact, held] = [await model('float32'), await model(dtype)];
        const error = await relativeL2(held.out, exact.out);
        tf.dispose([exact.out, held.out]);
        expect(error > 0).toBe(!lossless.includes(dtype));
        expect(error).toBeLessThan(TOLERANCES[dtype]);
        expect(exact.bytes - held.bytes).toBe(exact.counted - held.counted); // positions and the like are held besides
      });
    },
  );
});

describe('a pipeline', () => {
  it.each(['bfloat16', 'float16'] as const)(
    'is refused %s where the backend has no fused ops, and is loaded in float32 after',
    async (dtype) => {
      await withTinyCheckpoint((checkpoint) =>
        composed(async () => {
          const load = (dtype: WeightDtype) => DiTPipeline.fromCheckpoint(checkpoint, { dtype });
          await expectCleanFailure(
            () => load(dtype),
            BackendError,
            /^dtype b?float16: \w+ holds weights as float32 here/,
          );
          await expectNoLeak(async () => (await load('float32')).dispose());
        }),
      );
    },
  );

  it.each([1, 20, 200])(
    'without memory for its tensor %i tells so once, frees all, and is loaded after',
    async (nth) => {
      await withTinyCheckpoint(async (checkpoint) => {
        const load = () => DiTPipeline.fromCheckpoint(checkpoint);
        const backend = tf.backend();
        const { write } = backend;
        let writes = 0;
        const failing: typeof write = (...values) => {
          if (++writes === nth) throw new Error('OOM when allocating tensor');
          return write.apply(backend, values);
        };
        backend.write = failing;
        try {
          await expectCleanFailure(load, BackendError, /: there was no memory for its \d+\.\d MB; free memory/);
        } finally {
          backend.write = write;
        }
        expect(writes).toBe(nth);
        await expectNoLeak(async () => (await load()).dispose());
      });
    },
  );
});
