import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { adaCache } from '../../../src/cache/policies/ada-cache.ts';
import { dbCache } from '../../../src/cache/policies/db-cache.ts';
import { dbPrune } from '../../../src/cache/policies/db-prune.ts';
import { easyCache } from '../../../src/cache/policies/easy-cache.ts';
import { firstBlockCache } from '../../../src/cache/policies/first-block-cache.ts';
import { speCa } from '../../../src/cache/policies/spe-ca.ts';
import { teaCache } from '../../../src/cache/policies/tea-cache.ts';
import type { CachePolicy } from '../../../src/cache/policy.ts';
import type { BranchName } from '../../../src/models/block.ts';
import { type ReplayOptions, replay } from '../../support/fake-model.ts';

type SignalName = 'slow' | 'quick' | 'outputs';

/** Written by test/fixtures/make_dynamic.py: when the authors' code computes. */
interface Decisions {
  readonly depth: number;
  /** [4,4] a step, flat. */
  readonly signals: Readonly<Record<SignalName, readonly (readonly number[])[]>>;
  readonly cases: readonly {
    readonly method: string;
    readonly signal: SignalName;
    readonly options: object;
    /** The steps; of DBPrune the blocks of each step. */
    readonly computed: readonly (number | readonly number[])[];
  }[];
}

const { depth, signals, cases } = JSON.parse(
  readFileSync(join(__dirname, '../../fixtures/dynamic.json'), 'utf8'),
) as Decisions;

/** How a method comes by its signal: the tokens that the step begins with, and what a block's self-attention adds. */
interface Feed {
  readonly make: (options: object) => CachePolicy;
  readonly tokens: (given: readonly number[]) => readonly number[];
  readonly added: (given: tf.Tensor3D, x: tf.Tensor3D, block: number, step: number) => tf.Tensor3D;
}

const nothing = (given: readonly number[]) => given.map(() => 0);
const itself = (given: readonly number[]) => given;
const byBlock =
  (wanted: number): Feed['added'] =>
  (given, x, block) =>
    block === wanted ? given : tf.zerosLike(x);
const outputOf = (step: number) => tf.tensor3d([...signals.outputs[step]!], [1, 4, 4]);

const FEEDS: Readonly<Record<string, Feed>> = {
  teacache: { make: teaCache, tokens: itself, added: (_, x) => tf.zerosLike(x) },
  'first-block-cache': { make: firstBlockCache, tokens: nothing, added: byBlock(0) },
  dbcache: { make: (options) => dbCache({ ...options, firstBlocks: 1 }), tokens: nothing, added: byBlock(0) },
  dbprune: { make: dbPrune, tokens: itself, added: (given, _, block) => tf.mul(given, (block + 1) / 10) },
  easycache: {
    make: easyCache,
    tokens: itself,
    added: (_, x, block, step) => (block === 0 ? tf.sub(outputOf(step), x) : tf.zerosLike(x)),
  },
  adacache: { make: (options) => adaCache({ ...options, watchedBlock: 2 }), tokens: nothing, added: byBlock(2) },
  speca: { make: speCa, tokens: nothing, added: byBlock(depth - 1) },
};

function fed({ make, tokens, added }: Feed, signal: SignalName, options: object): ReplayOptions {
  const values = signals[signal];
  const raw = (x: tf.Tensor3D, block: number, branch: BranchName, step: number) =>
    branch === 'self' ? added(tf.tensor3d([...values[step]!], [1, 4, 4]), x, block, step) : tf.zerosLike(x);
  const at = (step: number) => ({ tokens: tokens(values[step]!), gate: 1 });
  return { policy: make(options), steps: values.length, at, depth, raw };
}

describe("the authors' decisions", () => {
  it.each(cases.map((one) => ({ ...one, shown: JSON.stringify(one.options) })))(
    '$method, $signal signal, $shown',
    async ({ method, signal, options, computed }) => {
      const { evaluated } = await replay(fed(FEEDS[method]!, signal, options));
      const last = method === 'first-block-cache' || method === 'dbcache' ? depth - 1 : 0; // the first block always runs
      const steps = [...evaluated.keys()].filter((step) => evaluated[step]!.includes(last));
      expect(method === 'dbprune' ? evaluated : steps).toEqual(computed);
    },
  );

  it('are there for every method', () => {
    expect([...new Set(cases.map(({ method }) => method))].sort()).toEqual(Object.keys(FEEDS).sort());
  });
});
