import { planCost } from '../../src/cache/cost.ts';
import { uncachedPlan } from '../../src/cache/plan.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { CheckpointError } from '../../src/errors.ts';
import { parsePixArtConfig } from '../../src/models/parse-config.ts';
import { PixArt } from '../../src/models/pixart.ts';
import {
  interpolationScaleOf,
  PIXART_BRANCHES,
  PIXART_XL_2,
  type PixArtConfig,
  pixArtCost,
  withPixArtNumerics,
} from '../../src/models/pixart-config.ts';
import { elementCount } from '../../src/shape.ts';
import { planSetting } from '../support/plans.ts';

/** PixArt-α as it was released for pictures of this many pixels. */
function released(pixels: 256 | 512 | 1024): PixArtConfig {
  const inputSize = pixels / 8;
  return {
    ...PIXART_XL_2,
    inputSize,
    interpolationScale: interpolationScaleOf(inputSize),
    microConditions: pixels === 1024,
  };
}

describe('PixArt-α', () => {
  // the released files' tensors, without the position table and the null caption (120·4096)
  it.each([
    [256, 610_856_096, 435],
    [512, 610_856_096, 435],
    [1024, 611_349_152, 443],
  ] as const)('%d has %d parameters in %d tensors', (pixels, parameters, tensors) => {
    const shapes = PixArt.parameterShapes(released(pixels));
    expect(shapes.size).toBe(tensors);
    expect([...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0)).toBe(parameters);
  });

  it.each([
    [256, 149.1],
    [512, 618.0],
    [1024, 3254.8],
  ] as const)('%d costs %d GMACs a forward', (pixels, gmacs) => {
    const { depth, blockLinear, blockAttention, ends } = pixArtCost(released(pixels));
    expect((depth * (blockLinear + blockAttention) + ends) / 1e9).toBeCloseTo(gmacs, 1);
  });

  it('squeezes positions where the latent exceeds 64', () => {
    expect([32, 64, 128].map(interpolationScaleOf)).toEqual([1, 1, 2]);
  });
});

describe('pixArtCost', () => {
  it('counts a block’s linears, the caption’s keys and values among them, and both attentions', () => {
    const [d, t, l] = [1152, 1024, 120];
    expect(pixArtCost(released(512))).toMatchObject({
      depth: 28,
      blockLinear: 14 * d * d * t + 2 * d * d * l,
      blockAttention: 2 * t * t * d + 2 * t * l * d,
    });
  });

  it('follows the latent’s shape and the caption’s length', () => {
    const [d, t, l] = [1152, (104 * 152) / 4, 30];
    const { blockLinear } = pixArtCost(released(1024), { height: 104, width: 152, captionLength: l });
    expect(blockLinear).toBe(14 * d * d * t + 2 * d * d * l);
  });

  it('leaves the MACs ratio of Δ-DiT the one of its blocks: 1.60 at T = 20, N = 2, N_c = 21, b = 12', () => {
    const setting = planSetting(20, 28, PIXART_BRANCHES);
    const plan = deltaDiT({ interval: 2, cachedBlocks: 21, stageBound: 12 }).plan(setting);
    const cost = planCost(plan, pixArtCost(released(512)));
    expect(cost.macsRatio).toBe(1.6);
    const uncached = planCost(uncachedPlan(setting), pixArtCost(released(512)));
    expect(uncached.withAttention / cost.withAttention).toBeCloseTo(1.6, 12);
  });
});

describe('withPixArtNumerics', () => {
  it("takes the original's epsilon, and keeps the one of a diffusers config", () => {
    const config = { ...released(512), normEps: 1e-5 };
    expect(withPixArtNumerics(config, 'original')).toEqual(released(512));
    expect(withPixArtNumerics(config, 'diffusers')).toEqual(config);
  });
});

describe('parsePixArtConfig', () => {
  it('takes a whole configuration', () => {
    const config = released(1024);
    expect(parsePixArtConfig('x', JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each([
    ['hiddenSize', 1150],
    ['numHeads', 5],
    ['patchSize', 3],
    ['depth', 1e8],
    ['outChannels', 3],
    ['captionChannels', 0],
    ['interpolationScale', 0],
    ['microConditions', 'yes'],
    ['normEps', -1],
  ])('refuses %s = %p by its name', (name, value) => {
    const parse = () => parsePixArtConfig('manifest.json', { ...released(512), [name]: value });
    expect(parse).toThrow(CheckpointError);
    expect(parse).toThrow(new RegExp(`manifest.json: [^]*${name}`));
  });

  it('refuses a width without thirds where sizes are told', () => {
    const narrow = { ...released(1024), hiddenSize: 128 };
    expect(() => parsePixArtConfig('x', narrow)).toThrow(/no multiple of 3, for microConditions/);
    expect(parsePixArtConfig('x', { ...narrow, microConditions: false }).hiddenSize).toBe(128);
  });
});
