import * as tf from '@tensorflow/tfjs-core';
import type { BlockPass, DynamicRun, ModelPass } from '../../src/cache/dynamic.ts';
import { adaCache } from '../../src/cache/policies/ada-cache.ts';
import { dbCache } from '../../src/cache/policies/db-cache.ts';
import { speCa } from '../../src/cache/policies/spe-ca.ts';
import type { DynamicPolicy } from '../../src/cache/policy.ts';
import { newton } from '../../src/cache/predictors/newton.ts';
import { taylor } from '../../src/cache/predictors/taylor.ts';
import { readRows, relativeChange } from '../../src/cache/row-change.ts';
import { RowTensors } from '../../src/cache/row-tensors.ts';
import { SiteHistory } from '../../src/cache/site-history.ts';
import { OptionError } from '../../src/errors.ts';
import { relativeL2Of } from '../support/compare.ts';
import { FakeBlocks, fakeSubject, replay, wave } from '../support/fake-model.ts';
import { expectCleanFailure, expectNoLeak } from '../support/memory.ts';
import { runPolicy } from '../support/policy-run.ts';

/** A method made of one function. */
function method(run: Omit<DynamicRun, 'keeps' | 'predictor'> & Partial<DynamicRun>): DynamicPolicy {
  return { name: 'made up', begin: () => ({ keeps: 'delta', predictor: { name: 'hold' }, ...run }) };
}
const drift = (step: number, row: number) => ({ tokens: wave(0.1 * row + step / 50), gate: 0.3 + 0.1 * row });

describe('a pass over the blocks', () => {
  const reuseAt = (mask: readonly (readonly boolean[])[]) => (step: number) => mask[step]!;
  const rows = [0, 1, 2];

  it('computes some rows as a batch of their own and predicts the others, as if each were alone', async () => {
    const mask = [
      [false, false, false],
      [true, false, true],
      [true, true, false],
      [true, false, true],
    ];
    const policy = (pick: (step: number) => readonly boolean[]) =>
      method({ blocks: (step, pass) => pass.span(2, pick(step)) });
    const { outputs, evaluated, counts } = await replay({ policy: policy(reuseAt(mask)), steps: 4, at: drift, rows });
    for (const row of rows) {
      const alone = policy((step) => [mask[step]![row]!]);
      const one = await replay({ policy: alone, steps: 4, at: drift, rows: [row] });
      for (const [step, output] of outputs.entries())
        expect(relativeL2Of(output.subarray(16 * row, 16 * row + 16), one.outputs[step]!)).toBeLessThan(1e-6);
    }
    expect(evaluated[1]).toEqual([0, 1, 2]);
    const want = [3, 5 / 3, 5 / 3, 5 / 3];
    for (const [step, blocks] of counts.stepBlocks.entries()) expect(blocks).toBeCloseTo(want[step]!, 9);
    expect(counts.blocksReused).toBeCloseTo(4, 9);
  });

  it('computes what the method leaves, and nothing for spans of no length', async () => {
    const blocks = async (_: number, pass: BlockPass) => {
      await pass.compute(0);
      await pass.span(0, [true]);
      await pass.branches(0, [true]);
      expect(pass.position).toBe(0);
      await pass.compute(1);
      expect([pass.position, pass.depth, pass.rowCount]).toEqual([1, 3, 1]);
    };
    const { evaluated } = await replay({ policy: method({ blocks }), steps: 1, at: drift });
    expect(evaluated).toEqual([[0, 1, 2]]);
  });

  it('computes aside without moving, and counts it', async () => {
    const blocks = async (_: number, pass: BlockPass) => {
      const ahead = await pass.computeAside([1]);
      await pass.compute(1);
      expect(relativeL2Of(await ahead.data(), (await pass.tokens.data()).slice(16))).toBeLessThan(1e-6);
      ahead.dispose();
    };
    const { counts } = await expectNoLeak(() =>
      replay({ policy: method({ blocks }), steps: 1, at: drift, rows: [0, 1] }),
    );
    expect(counts.stepBlocks).toEqual([3.5]);
  });

  it('shows what a branch adds in the rows that are computed', async () => {
    const seen: [number[], readonly number[]][] = [];
    const saw = (added: tf.Tensor3D, of: readonly number[]) => void seen.push([added.shape, of]);
    const watch = { block: 1, branch: 'mlp', saw } as const;
    const mask = [
      [false, false],
      [true, false],
      [true, true],
    ];
    const blocks = (step: number, pass: BlockPass) => pass.span(3, mask[step]!, watch);
    await expectNoLeak(() => replay({ policy: method({ blocks }), steps: 3, at: drift, rows: [0, 1] }));
    expect(seen).toEqual([
      [
        [2, 4, 4],
        [0, 1],
      ],
      [[1, 4, 4], [1]],
    ]);
  });

  it('gives the modulated input that self-attention reads', async () => {
    const blocks = async (_: number, pass: BlockPass) => {
      const input = pass.modulatedInput();
      const { mean, variance } = tf.moments(input, 2);
      for (const value of await mean.data()) expect(value).toBeCloseTo(0, 4);
      for (const value of await variance.data()) expect(value).toBeCloseTo(1, 2);
      tf.dispose([input, mean, variance]);
    };
    await expectNoLeak(() => replay({ policy: method({ blocks }), steps: 1, at: drift }));
  });

  it.each<[string, (pass: BlockPass) => Promise<unknown>, RegExp]>([
    [
      'a span that was not stored',
      (pass) => pass.span(2, [true, true]),
      /step 0 reuses blocks 0\+2, which no step before/,
    ],
    ['branches that were not stored', (pass) => pass.branches(2, [true, true]), /step 0 reuses block 0's self/],
    [
      'a decision too few',
      async (pass) => {
        await expect(pass.span(2, [false])).rejects.toThrow(RangeError);
        throw new OptionError('one row of two');
      },
      /one row of two/,
    ],
    [
      'a method that fails midway',
      async (pass) => {
        await pass.span(2, [false, false]);
        throw new OptionError('midway');
      },
      /midway/,
    ],
  ])('frees everything after %s', async (_, blocks, text) => {
    const policy = method({ blocks: async (_step, pass) => void (await blocks(pass)) });
    const subject = fakeSubject(new FakeBlocks(3));
    await expectCleanFailure(() => runPolicy(subject, policy, { samples: [0] }), OptionError, text);
  });
});

describe('a pass over the model', () => {
  it('asks for the samples that are not predicted, and counts samples, not rows', async () => {
    const mask = [
      [false, false, false],
      [true, false, false],
      [true, true, true],
    ];
    const blocks = new FakeBlocks(3);
    const policy = method({ model: async (step: number, pass: ModelPass) => void (await pass.run(mask[step]!)) });
    const { counts } = await expectNoLeak(() =>
      runPolicy(fakeSubject(blocks), policy, { samples: [0, 1, 2], steps: 3 }),
    );
    expect(counts.stepBlocks).toEqual([3, 2, 0]);
    expect(blocks.evaluated).toBe(2 * 2 * 3 * (3 + 2));
  });

  it('runs once, whether or not the method asks', async () => {
    const subject = fakeSubject(new FakeBlocks(3));
    const plain = await runPolicy(subject, undefined);
    const silent = method({ model: async () => {} });
    expect((await runPolicy(subject, silent)).latents).toEqual(plain.latents);
    const twice = method({
      model: async (_: number, pass: ModelPass) => {
        await pass.run([false, false]);
        await pass.run([false, false]);
      },
    });
    await expectCleanFailure(() => runPolicy(subject, twice), RangeError, /ran the model twice/);
  });
});

describe('prediction of rows computed at different steps', () => {
  it('is exact where the residual is a polynomial in the step', async () => {
    const raw = (x: tf.Tensor3D, block: number, _: string, step: number) =>
      tf.fill(x.shape, block === 0 ? 0.5 : 1 + step * 0.3 - step ** 2 * 0.02) as tf.Tensor3D;
    const at = (step: number) => ({ tokens: wave(step / 50), gate: 1 });
    const options = {
      threshold: 0.5,
      firstBlocks: 1,
      warmUpSteps: 3,
      predictor: { name: 'newton', order: 2 },
    } as const;
    const got = await replay({ policy: dbCache(options), steps: 8, at, raw });
    const want = await replay({ policy: dbCache({ threshold: 0 }), steps: 8, at, raw });
    expect(got.evaluated.slice(3)).toEqual([[0], [0], [0], [0], [0]]);
    for (const [step, output] of got.outputs.entries())
      expect(relativeL2Of(output, want.outputs[step]!)).toBeLessThan(1e-5);
  });

  it('of branches is exact where they are lines in the step, and then SpeCa finds no error', async () => {
    const raw = (x: tf.Tensor3D, _: number, __: string, step: number) =>
      tf.fill(x.shape, 1 + step * 0.3) as tf.Tensor3D;
    const at = (step: number) => ({ tokens: wave(step / 50), gate: 1 });
    const policy = speCa({ order: 1, baseThreshold: 0.01, minPredictions: 1, maxPredictions: 99 });
    const { outputs, counts } = await replay({ policy, steps: 8, at, raw });
    const want = await replay({ policy: speCa({ maxPredictions: 0 }), steps: 8, at, raw });
    for (const step of [0, 2, 3, 4, 5, 6, 7])
      expect(relativeL2Of(outputs[step]!, want.outputs[step]!)).toBeLessThan(1e-5);
    expect(counts.stepBlocks).toEqual([3, 0, 3, 0, 1, 1, 1, 1]);
    for (const error of counts.signals!.flat()) expect(error).toBeLessThan(1e-5);
  });

  it('looks at what each row gave, and when', async () => {
    const at = (row: number, step: number) => 10 * (row + 1) + (row + 1) * step;
    const put = (history: SiteHistory, step: number, rows: readonly number[]) =>
      history.put(step, tf.tensor2d(rows.map((row) => [at(row, step)])), rows);
    await expectNoLeak(async () => {
      const history = new SiteHistory('a site', taylor(1));
      put(history, 0, [0, 1, 2]);
      put(history, 2, [1]);
      const early = await history.predict(3);
      expect(Array.from(await early.data())).toEqual([10, 26, 30]); // a line where two steps are known
      put(history, 4, [0, 2]);
      put(history, 5, [2]);
      const late = await history.predict(7, [0, 2]);
      expect(Array.from(await late.data())).toEqual([at(0, 7), at(2, 7)]);
      expect(history.bytes).toBe(2 * 3 * 4);
      tf.dispose([early, late]);
      history.dispose();
    });
  });

  it('refuses where nothing is stored', async () => {
    const history = new SiteHistory('a site', newton(1));
    await expect(history.predict(1)).rejects.toThrow(/step 1 reuses a site, which no step before it recorded/);
  });
});

describe("a method's own tensors", () => {
  it('are replaced row by row, counted and freed', async () => {
    await expectNoLeak(async () => {
      const kept = new RowTensors();
      const put = (values: number[][], rows?: readonly number[]) => {
        const value = tf.tensor2d(values);
        kept.put('signal', value, rows);
        value.dispose();
      };
      const read = async () => Array.from(await kept.get('signal')!.data());
      put([
        [1, 2],
        [3, 4],
        [5, 6],
      ]);
      put(
        [
          [7, 8],
          [9, 10],
          [11, 12],
        ],
        [0, 2],
      );
      expect(await read()).toEqual([7, 8, 3, 4, 11, 12]);
      put(
        [
          [0, 0],
          [0, 0],
          [0, 0],
        ],
        [],
      );
      const one = tf.tensor2d([[1, 1]]);
      kept.replace('signal', one, [1]);
      one.dispose();
      expect(await read()).toEqual([7, 8, 1, 1, 11, 12]);
      expect(kept.get('other')).toBeUndefined();
      expect(kept.peakBytes).toBe(24);
      kept.dispose();
    });
  });

  it('change by mean|a − b| ÷ mean|b|, a row at a time', async () => {
    const [a, b] = [tf.tensor3d([1, 2, 3, 4, 0, 0, 0, 8], [2, 2, 2]), tf.tensor3d([1, 1, 1, 1, 2, 2, 2, 2], [2, 2, 2])];
    expect(await readRows(relativeChange(a, b))).toEqual([1.5, 1.5]);
    tf.dispose([a, b]);
  });
});

it('AdaCache adds with one tensor what the authors add with one for each sublayer', async () => {
  const steps = 8;
  const policy = adaCache({ codebook: [{ below: 9, steps: 3 }], watchedBlock: 1 });
  const { outputs, evaluated } = await replay({ policy, steps, at: drift });
  const full = await replay({ policy: adaCache({ codebook: [{ below: 1, steps: 1 }] }), steps, at: drift });
  const computed = [...evaluated.keys()].filter((step) => evaluated[step]!.length > 0);
  expect(computed).toEqual([0, 1, 4, 6, 7]);
  for (const step of [2, 3, 5]) {
    const last = Math.max(...computed.filter((at) => at < step));
    // the sublayers' sums telescope: h + Σ(added) = h + (out − in)
    const want = drift(step, 0).tokens.map((h, i) => h + full.outputs[last]![i]! - drift(last, 0).tokens[i]!);
    expect(relativeL2Of(outputs[step]!, want)).toBeLessThan(1e-6);
  }
});
