import * as tf from '@tensorflow/tfjs-core';
import { CachedBlocks } from '../../src/cache/cached-blocks.ts';
import { residual } from '../../src/cache/delta.ts';
import { type CachePlan, uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import { recordDeltas } from '../../src/cache/record-deltas.ts';
import { spanSite } from '../../src/cache/site.ts';
import { type BlockRunner, runAllBlocks, runBlock } from '../../src/models/block.ts';
import type { DiT } from '../../src/models/dit.ts';
import { classDenoiser, type Denoiser } from '../../src/pipelines/guidance.ts';
import { sample } from '../../src/pipelines/sample.ts';
import { DDIMSampler } from '../../src/schedulers/ddim.ts';
import { expectBitEqual, relativeL2 } from '../support/compare.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';
import { noNoise } from '../support/noise.ts';
import { planSetting, reuseOf } from '../support/plans.ts';
import { loadTinyDiT } from '../support/tiny-dit.ts';

const PER_SPAN = 1e-5;
const PER_FORWARD = 1e-4;

let fixture: Fixture;
let dit: DiT;
beforeAll(async () => {
  [fixture, dit] = [await readFixture('cache.safetensors'), await loadTinyDiT('original')];
});
afterAll(() => dit.dispose());

/** h_0 … h_3 of the fixture, [4,3,16,48] there. */
const hidden = (name: string) => tf.unstack(fixture.tensor(name)) as tf.Tensor3D[];
const predict = (latents: string, run: BlockRunner) =>
  dit.predict(fixture.nhwc(latents), fixture.numbers('timesteps'), fixture.numbers('labels'), run);

/** A runner that also shows the tokens it gives. */
function watched(run: BlockRunner, seen: (tokens: tf.Tensor3D) => void): BlockRunner {
  return async (blocks, tokens, cond) => {
    const out = await run(blocks, tokens, cond);
    seen(out.clone());
    return out;
  };
}

describe('Δ-Cache on the tiny DiT against PyTorch', () => {
  const spans = [
    ['front', 0],
    ['rear', 1],
  ] as const;

  it.each(spans)('%s: Δ is what the span added', async (region, first) => {
    const h = hidden('before.hidden');
    const delta = residual(h[first + 2]!, h[first]!);
    expect(await relativeL2(delta, fixture.tensor(`${region}.delta`))).toBeLessThan(PER_SPAN);

    const { cond } = dit.embed(fixture.nhwc('before.latents'), fixture.numbers('timesteps'), fixture.numbers('labels'));
    const recorded = dit.blocks.slice(first, first + 2).map((block) => recordDeltas(block));
    await runAllBlocks(recorded, h[first]!, cond);
    const sum = tf.addN(recorded.map((block) => block.takeDelta()!));
    expect(await relativeL2(sum, fixture.tensor(`${region}.delta`))).toBeLessThan(PER_SPAN);
  });

  it.each(spans)('%s: one step records, the next reuses it on other latents', async (region, first) => {
    const plan = deltaCache({ region, cachedBlocks: 2 }).plan(planSetting(2, 3));
    expect(plan.steps[1]!.reuse).toEqual([spanSite({ first, count: 2 })]);
    const cache = new CachedBlocks(plan);
    const tokens: tf.Tensor3D[] = [];
    const at = (step: number) => watched(cache.atStep(step), (out) => tokens.push(out));

    const full = await predict('before.latents', at(0));
    expect(await relativeL2(full, fixture.nhwc('before.output'))).toBeLessThan(PER_FORWARD);
    const cached = await predict('after.latents', at(1));
    expect(await relativeL2(tokens[1]!, fixture.tensor(`${region}.hidden`))).toBeLessThan(PER_SPAN);
    expect(await relativeL2(cached, fixture.nhwc(`${region}.output`))).toBeLessThan(PER_FORWARD);
    // the bugs this guards against: no reuse at all
    expect(await relativeL2(cached, fixture.nhwc('after.output'))).toBeGreaterThan(100 * PER_FORWARD);
    cache.dispose();
  });

  it('the sign: reusing Δ leads towards the full result, taking it off leads away', async () => {
    const [h0] = hidden('after.hidden');
    const delta = fixture.tensor<tf.Tensor3D>('front.delta');
    const rest = async (h2: tf.Tensor3D) => {
      const { cond } = dit.embed(
        fixture.nhwc('after.latents'),
        fixture.numbers('timesteps'),
        fixture.numbers('labels'),
      );
      return runBlock(dit.blocks[2]!, h2, cond);
    };
    const want = fixture.tensor('front.hidden');
    expect(await relativeL2(await rest(tf.add(h0!, delta)), want)).toBeLessThan(PER_SPAN);
    expect(await relativeL2(await rest(tf.sub(h0!, delta)), want)).toBeGreaterThan(0.1);
  });

  it('runs every block of both inputs as PyTorch does', async () => {
    for (const name of ['before', 'after']) {
      const h = hidden(`${name}.hidden`);
      const { tokens, cond } = dit.embed(
        fixture.nhwc(`${name}.latents`),
        fixture.numbers('timesteps'),
        fixture.numbers('labels'),
      );
      expect(await relativeL2(tokens, h[0]!)).toBeLessThan(PER_SPAN);
      for (const [i, block] of dit.blocks.entries()) {
        expect(await relativeL2(runBlock(block, h[i]!, cond), h[i + 1]!)).toBeLessThan(PER_SPAN);
      }
    }
  });
});

describe('whole Δ-DiT runs on the tiny DiT against PyTorch', () => {
  const loops = {
    six: { steps: 6, interval: 2, plan: ['full', '1+2', 'full', '0+2', 'full', '0+2'] },
    eight: { steps: 8, interval: 3, plan: ['full', '1+2', '0+2', 'full', '0+2', '0+2', 'full', 'full'] },
  };

  /** The guided noise and the latents of each step. */
  async function run(plan: CachePlan): Promise<{ epsilon: tf.Tensor4D[]; latents: tf.Tensor4D[] }> {
    const [epsilon, latents]: tf.Tensor4D[][] = [[], []];
    const guided = classDenoiser(dit, [1, 4], { guidanceScale: 4, guidedChannels: 3 });
    const denoise: Denoiser = async (x, t, blocks) => {
      const output = await guided(x, t, blocks);
      epsilon!.push(output.eps.clone());
      return output;
    };
    const cache = new CachedBlocks(plan);
    await sample({
      noise: fixture.nhwc('loops.noise'),
      sampler: new DDIMSampler(plan.steps.length),
      stepNoise: noNoise,
      denoise,
      cache,
      onStep: (event) => void latents!.push(event.latents.clone()),
    });
    cache.dispose();
    return { epsilon: epsilon!, latents: latents! };
  }

  it.each(Object.entries(loops))(
    'loop %s: the noise of every step, and the latents',
    async (name, { steps, interval, plan: want }) => {
      const plan = deltaDiT({ interval, stageBound: 2, cachedBlocks: 2 }).plan(planSetting(steps, 3));
      expect(reuseOf(plan)).toEqual(want);
      const { epsilon, latents } = await run(plan);
      // another plan, span or sign changes the noise of some step by 4.9e-3 and more
      const noise = fixture.nhwcSteps(`loops.${name}.epsilon`);
      for (const [step, eps] of epsilon.entries())
        expect(await relativeL2(eps, noise[step]!)).toBeLessThan(PER_FORWARD);
      const references = fixture.nhwcSteps(`loops.${name}.latents`);
      for (const [step, x] of latents.entries())
        expect(await relativeL2(x, references[step]!)).toBeLessThan(PER_FORWARD);
    },
  );

  it.each(Object.entries(loops))('loop %s without a cache', async (name, { steps }) => {
    const { latents } = await run(uncachedPlan(planSetting(steps, 3)));
    expect(await relativeL2(latents[steps - 1]!, fixture.nhwc(`loops.${name}.uncached`))).toBeLessThan(PER_FORWARD);
  });

  it('caching nothing gives the uncached run bit for bit', async () => {
    const setting = planSetting(4, 3);
    const plain = await run(uncachedPlan(setting));
    for (const options of [{ interval: 1 }, { cachedBlocks: 0 }]) {
      const { epsilon, latents } = await run(deltaDiT(options).plan(setting));
      for (let step = 0; step < 4; step++) {
        await expectBitEqual(epsilon[step]!, plain.epsilon[step]!);
        await expectBitEqual(latents[step]!, plain.latents[step]!);
      }
    }
  });
});
