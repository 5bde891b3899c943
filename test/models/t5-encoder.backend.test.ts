import * as tf from '@tensorflow/tfjs-core';
import { withWeights } from '../../src/checkpoint/archive.ts';
import type { TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { Weights } from '../../src/checkpoint/weights.ts';
import { AbortError, CheckpointError, OptionError, ShapeError } from '../../src/errors.ts';
import type { T5EncoderConfig } from '../../src/models/t5-config.ts';
import { T5Encoder } from '../../src/models/t5-encoder.ts';
import type { PromptTokens } from '../../src/models/t5-forward.ts';
import { T5FeedForwardLayer, T5SelfAttentionLayer } from '../../src/models/t5-layers.ts';
import { keyMask } from '../../src/ops/relative-attention.ts';
import { relativeL2, relativeL2Of } from '../support/compare.ts';
import type { Fixture } from '../support/fixtures.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { replaceTensor } from '../support/random-weights.ts';
import { loadTinyT5, promptsOf, readT5Fixture, rowsOf, withTinyT5 } from '../support/tiny-t5.ts';

const PER_LAYER = 1e-5;
const WHOLE = 1e-4;

let fixture: Fixture;
let prompts: PromptTokens[];
beforeAll(async () => {
  fixture = await readT5Fixture('encoder');
  prompts = promptsOf(fixture);
});

describe('T5 encoder against transformers', () => {
  const reference = (name: string) => fixture.tensor<tf.Tensor3D>(name);

  it('layer by layer, in both halves', async () => {
    await withTinyT5(async ({ config, archive }) => {
      const weights = new Weights(archive);
      await weights.load('encoder.block');
      const bias = fixture.tensor<tf.Tensor4D>('relativeBias');
      const mask = keyMask(rowsOf(fixture, 'input.mask'));
      for (let i = 0; i < config.depth; i++) {
        const scope = weights.scope(`encoder.block.${i}`);
        const attention = new T5SelfAttentionLayer(config, scope.at('layer.0'));
        const feedForward = new T5FeedForwardLayer(config, scope.at('layer.1'));
        attention.build();
        feedForward.build();
        const attended = attention.call([reference(i === 0 ? 'embeddings' : `layer${i - 1}`), bias, mask]);
        if (i === 1) expect(await relativeL2(attended, reference('layer1.afterAttention'))).toBeLessThan(PER_LAYER);
        expect(await relativeL2(feedForward.call(attended), reference(`layer${i}`))).toBeLessThan(PER_LAYER);
      }
      weights.dispose();
    });
  });

  it('whole, padded rows included', async () => {
    const t5 = await loadTinyT5();
    expect(await relativeL2(await t5.encode(prompts), reference('output'))).toBeLessThan(WHOLE);
    t5.dispose();
  });

  it('gives the same where prompts go through in groups', async () => {
    const t5 = await loadTinyT5();
    const many = Array.from({ length: 100 }, (_, n) => prompts[n % prompts.length]!); // 1,200 tokens
    const got = await (await t5.encode(many)).data();
    const want = await reference('output').data();
    expect(
      relativeL2Of(
        got,
        Float32Array.from({ length: got.length }, (_, i) => want[i % want.length]!),
      ),
    ).toBeLessThan(WHOLE);
    t5.dispose();
  });

  it('gives a prompt the same features however long the padding', async () => {
    const t5 = await loadTinyT5();
    const [, prompt] = prompts;
    const short = {
      inputIds: Array.from(prompt!.inputIds).slice(0, 8),
      attentionMask: Array.from(prompt!.attentionMask).slice(0, 8),
    };
    const [padded, trimmed] = [await t5.encode([prompt!]), await t5.encode([short])];
    const tokens = (x: tf.Tensor3D) => tf.slice(x, [0, 0, 0], [1, 7, 24]);
    expect(await relativeL2(tokens(trimmed), tokens(padded))).toBeLessThan(PER_LAYER);
    t5.dispose();
  });
});

describe('T5 encoder tells and obeys', () => {
  it('of each layer that is done', async () => {
    const t5 = await loadTinyT5();
    const seen: unknown[] = [];
    await t5.encode(prompts, { onLayer: (progress) => void seen.push(progress) });
    expect(seen).toEqual([0, 1, 2].map((layer) => ({ layer, layers: 3 })));
    t5.dispose();
  });

  it('a signal, and leaks nothing', async () => {
    const t5 = await loadTinyT5();
    const stop = new AbortController();
    const onLayer = () => stop.abort();
    await expectCleanFailure(
      () => t5.encode(prompts, { onLayer, signal: stop.signal }),
      AbortError,
      /encoding was stopped after 1 of 3 layers/,
    );
    await expectCleanFailure(() => t5.encode(prompts, { signal: stop.signal }), AbortError, /after 0 of 3 layers/);
    t5.dispose();
  });
});

describe('T5 encoder refuses', () => {
  let t5: T5Encoder;
  beforeAll(async () => {
    t5 = await loadTinyT5();
  });
  afterAll(() => t5.dispose());

  it.each<[string, PromptTokens[], new (...args: never[]) => Error, RegExp]>([
    ['no prompts', [], OptionError, /at least one prompt/],
    ['prompts without tokens', [{ inputIds: [], attentionMask: [] }], OptionError, /at least one token/],
    [
      'prompts of different lengths',
      [
        { inputIds: [3, 1], attentionMask: [1, 1] },
        { inputIds: [1], attentionMask: [1] },
      ],
      ShapeError,
      /T5 tokens of prompt 2: expected \[2\], got \[1\]/,
    ],
    ['a mask of another length', [{ inputIds: [3, 1], attentionMask: [1] }], ShapeError, /mask of prompt 1/],
    ['a mask of other numbers', [{ inputIds: [1], attentionMask: [0.5] }], OptionError, /expected 0 or 1, got 0.5/],
    ['ids of a larger vocabulary', [{ inputIds: [40], attentionMask: [1] }], OptionError, /from 0 to 39, got 40/],
    ['negative ids', [{ inputIds: [-1], attentionMask: [1] }], OptionError, /from 0 to 39, got -1/],
  ])('%s, and leaks nothing', async (_, wrong, kind, text) => {
    await expectCleanFailure(() => t5.encode(wrong), kind, text);
  });
});

describe('T5 encoder memory', () => {
  const load = (config: T5EncoderConfig, archive: TensorArchive) =>
    withWeights(archive, (weights) => T5Encoder.fromWeights(config, weights));

  it('loads, encodes, and frees everything once', async () => {
    await expectNoLeak(async () => {
      const t5 = await loadTinyT5();
      const before = tf.memory().numTensors;
      const features = await t5.encode(prompts);
      expect(features.shape).toEqual([5, 12, 24]);
      expect(tf.memory().numTensors).toBe(before + 1);
      features.dispose();
      t5.dispose();
      t5.dispose();
    });
  });

  it('says that it was disposed, and leaks nothing', async () => {
    await expectCleanFailure(
      async () => {
        const t5 = await loadTinyT5();
        t5.dispose();
        await t5.encode(prompts);
      },
      CheckpointError,
      /after dispose/,
    );
  });

  it('frees what it has built when a tensor is unreadable', async () => {
    await withTinyT5(async ({ config, archive }) => {
      const torn = { read: () => Promise.reject(new CheckpointError('torn file')) };
      const broken = replaceTensor(archive, 'encoder.block.2.layer.1.DenseReluDense.wo.kernel', torn);
      await expectCleanFailure(() => load(config, broken), CheckpointError, /torn file/);
    });
  });

  it('refuses tensors of another width, before anything is read', async () => {
    await withTinyT5(async ({ config, archive }) => {
      const wider = { ...config, hiddenSize: 32 };
      await expectCleanFailure(
        () => load(wider, archive),
        CheckpointError,
        /of the wrong shape: shared\.weight \(expected \[40, 32\], got \[40, 24\]\)/,
      );
    });
  });
});
