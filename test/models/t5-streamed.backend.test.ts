import * as tf from '@tensorflow/tfjs-core';
import { encodeFloat32, toFloat32 } from '../../src/checkpoint/dtypes.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { AbortError, CheckpointError } from '../../src/errors.ts';
import type { PromptTokens } from '../../src/models/t5-forward.ts';
import { StreamedT5Encoder } from '../../src/models/t5-streamed.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import type { Fixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { replaceTensor } from '../support/random-weights.ts';
import { loadTinyT5, promptsOf, readT5Fixture, withTinyT5 } from '../support/tiny-t5.ts';

let fixture: Fixture;
let prompts: PromptTokens[];
beforeAll(async () => {
  fixture = await readT5Fixture('encoder');
  prompts = promptsOf(fixture);
});

const mapped = (archive: TensorArchive, change: (tensor: StoredTensor) => StoredTensor): TensorArchive => ({
  ...archive,
  tensors: new Map([...archive.tensors].map(([name, tensor]) => [name, change(tensor)])),
});

/** Tells `seen` of every piece that is read, just before. */
function watched(archive: TensorArchive, seen: (name: string, elements?: number) => void): TensorArchive {
  return mapped(archive, (tensor) => ({
    name: tensor.name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    read: () => {
      seen(tensor.name);
      return tensor.read();
    },
    readElements: (start, count) => {
      seen(tensor.name, count);
      return tensor.readElements!(start, count);
    },
  }));
}

describe('a T5 encoder read from disk part by part', () => {
  it('gives bit for bit what it gives in memory', async () => {
    const t5 = await loadTinyT5();
    const want = await t5.encode(prompts);
    t5.dispose();
    await withTinyT5(async ({ config, archive }) => {
      await expectBitEqual(await new StreamedT5Encoder(config, archive).encode(prompts), want);
    });
    expect(await relativeL2(want, fixture.tensor('output'))).toBeLessThan(1e-4);
  });

  it.each(['F16', 'BF16'] as const)('computes in float32 what is stored as %s', async (dtype) => {
    await withTinyT5(async ({ config, archive }) => {
      const stored = mapped(archive, ({ name, shape, read }) => ({
        name,
        shape,
        dtype,
        read: async () => encodeFloat32(toFloat32(await read(), 'F32'), dtype),
      }));
      const want = await new StreamedT5Encoder(config, archive).encode(prompts); // the weights are exact in 16 bits
      await expectBitEqual(await new StreamedT5Encoder(config, stored).encode(prompts), want);
    });
  });

  it('reads shards of torch.save in which all layers share the storages of one', async () => {
    const reference = await readT5Fixture('shared-storages');
    await withTinyT5(async ({ config, archive }) => {
      const got = await new StreamedT5Encoder(config, archive).encode(promptsOf(reference));
      expect(await relativeL2(got, reference.tensor('output'))).toBeLessThan(1e-4);
    }, 'shared-storages');
  });

  it('reads each weight once for all prompts, and of the embeddings the rows of the ids', async () => {
    await withTinyT5(async ({ config, archive }) => {
      const whole: string[] = [];
      const pieces: string[] = [];
      const counted = watched(archive, (name, elements) =>
        elements === undefined ? whole.push(name) : pieces.push(`${name}: ${elements}`),
      );
      (await new StreamedT5Encoder(config, counted).encode([...prompts, ...prompts])).dispose();
      expect([...whole].sort()).toEqual([...archive.tensors.keys()].filter((name) => name !== 'shared.weight').sort());
      const ids = new Set(prompts.flatMap(({ inputIds }) => Array.from(inputIds)));
      expect(pieces).toEqual(Array(ids.size).fill(`shared.weight: ${config.hiddenSize}`));
    });
  });

  it('holds one half of one layer at most', async () => {
    await withTinyT5(async ({ config, archive }) => {
      const { hiddenSize: d, feedForwardSize, numHeads, headDim } = config;
      const tokens = prompts.length * 12;
      const half = d * Math.max(4 * numHeads * headDim, 3 * feedForwardSize) + d; // the larger, with its norm
      const activations = tokens * d + tokens + numHeads * 12 * 12; // hidden states, masks, relative bias
      const before = tf.memory();
      let [mostBytes, between] = [0, 0];
      const measured = watched(archive, (name) => {
        mostBytes = Math.max(mostBytes, tf.memory().numBytes - before.numBytes);
        if (name.endsWith('.layer.1.DenseReluDense.wi_0.kernel')) between = tf.memory().numTensors - before.numTensors;
      });
      const features = await new StreamedT5Encoder(config, measured).encode(prompts);
      expect(mostBytes).toBeLessThanOrEqual(4 * (half + activations));
      expect(between).toBe(3); // as a half begins: hidden states, masks, relative bias
      features.dispose();
    });
  });
});

describe('a T5 encoder read from disk', () => {
  it('leaves nothing behind, and may be used again', async () => {
    await withTinyT5(({ config, archive }) =>
      expectNoLeak(async () => {
        const t5 = new StreamedT5Encoder(config, archive);
        const layers: number[] = [];
        const [first, second] = [
          await t5.encode(prompts, { onLayer: ({ layer }) => void layers.push(layer) }),
          await t5.encode(prompts),
        ];
        expect(layers).toEqual([0, 1, 2]);
        await expectBitEqual(second, first);
        tf.dispose([first, second]);
        t5.dispose();
      }),
    );
  });

  it('stops at a signal before it reads on, and leaks nothing', async () => {
    await withTinyT5(async ({ config, archive }) => {
      const read: string[] = [];
      const t5 = new StreamedT5Encoder(
        config,
        watched(archive, (name) => void read.push(name)),
      );
      const stop = new AbortController();
      await expectCleanFailure(
        () => t5.encode(prompts, { signal: stop.signal, onLayer: () => stop.abort() }),
        AbortError,
        /encoding was stopped after 1 of 3 layers/,
      );
      expect(read.filter((name) => name.startsWith('encoder.block.1.'))).toEqual([]);
      read.length = 0;
      await expectCleanFailure(() => t5.encode(prompts, { signal: stop.signal }), AbortError, /after 0 of 3 layers/);
      expect(read).toEqual([]);
    });
  });

  it.each([
    'shared.weight',
    'encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight',
    'encoder.block.1.layer.0.SelfAttention.o.kernel',
    'encoder.block.2.layer.1.layer_norm.weight',
    'encoder.final_layer_norm.weight',
  ])('leaks nothing when %s cannot be read', async (name) => {
    await withTinyT5(async ({ config, archive }) => {
      const torn = { read: () => Promise.reject(new CheckpointError('torn file')) };
      const t5 = new StreamedT5Encoder(config, replaceTensor(archive, name, torn));
      await expectCleanFailure(() => t5.encode(prompts), CheckpointError, /torn file/);
    });
  });

  it('refuses an archive of another model at once', async () => {
    await withTinyT5(async ({ config, archive }) => {
      expect(() => new StreamedT5Encoder({ ...config, depth: 4 }, archive)).toThrow(/9 missing: encoder\.block\.3/);
      expect(() => new StreamedT5Encoder({ ...config, depth: 2 }, archive)).toThrow(/9 unexpected: encoder\.block\.2/);
    });
  });
});
