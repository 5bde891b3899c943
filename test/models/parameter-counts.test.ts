import { AutoencoderKL } from '../../src/models/autoencoder-kl.ts';
import { DiT } from '../../src/models/dit.ts';
import { DIT_SIZES, type DiTConfig, ditCost } from '../../src/models/dit-config.ts';
import { elementCount, type Shape } from '../../src/shape.ts';

// facebookresearch/DiT: parameters without the position table
const PARAMETERS = {
  'XL/2': 674_834_720,
  'XL/4': 675_000_704,
  'XL/8': 675_664_640,
  'L/2': 457_840_672,
  'L/4': 457_988_224,
  'L/8': 458_578_432,
  'B/2': 130_315_808,
  'B/4': 130_426_496,
  'B/8': 130_869_248,
  'S/2': 32_865_056,
  'S/4': 32_920_448,
  'S/8': 33_142_016,
};
/** Multiply-accumulates of one forward in 1e9, for 256 and 512 pixels. */
const GMACS = {
  'XL/2': [118.6, 524.5],
  'XL/4': [29.0, 118.7],
  'XL/8': [7.4, 29.1],
  'L/2': [80.7, 361.0],
  'L/4': [19.7, 80.7],
  'L/8': [5.0, 19.7],
  'B/2': [23.0, 106.4],
  'B/4': [5.6, 23.0],
  'B/8': [1.4, 5.6],
  'S/2': [6.06, 31.4],
  'S/4': [1.41, 6.07],
  'S/8': [0.36, 1.43],
};

function published(name: string, pixels = 256): DiTConfig {
  const [size, patch] = name.split('/') as [keyof typeof DIT_SIZES, string];
  return {
    ...DIT_SIZES[size],
    patchSize: Number(patch),
    mlpRatio: 4,
    inChannels: 4,
    outChannels: 8,
    inputSize: pixels / 8,
    numClasses: 1000,
    frequencyShift: 0,
    normEps: 1e-6,
  };
}

function sum(shapes: ReadonlyMap<string, Shape>): number {
  return [...shapes.values()].reduce((total, shape) => total + elementCount(shape), 0);
}

describe('DiT', () => {
  it.each(Object.entries(PARAMETERS))('%s has %d parameters', (name, count) => {
    expect(sum(DiT.parameterShapes(published(name)))).toBe(count);
  });

  it('XL/2 has the 291 tensors of the released file, its position table left out', () => {
    expect(DiT.parameterShapes(published('XL/2')).size).toBe(291);
  });

  it.each(Object.entries(GMACS))('%s costs %j GMACs', (name, gmacs) => {
    gmacs.forEach((want, i) => {
      const config = published(name, [256, 512][i]);
      const { depth, blockLinear, blockAttention } = ditCost(config);
      const { hiddenSize: d, patchSize: p, inChannels, outChannels, inputSize } = config;
      const tokens = (inputSize / p) ** 2;
      const ends = tokens * d * p * p * (inChannels + outChannels) + 2 * d * d + 256 * d + d * d;
      const got = (depth * (blockLinear + blockAttention) + ends) / 1e9;
      expect(Math.abs(got - want)).toBeLessThanOrEqual(want < 10 ? 0.051 : 0.06);
    });
  });
});

describe('AutoencoderKL', () => {
  const config = {
    blockOutChannels: [128, 256, 512, 512],
    layersPerBlock: 2,
    latentChannels: 4,
    outChannels: 3,
    normNumGroups: 32,
    scalingFactor: 0.18215,
  };

  it("has the parameters of Stable Diffusion's decoder, and 20 of post_quant_conv", () => {
    expect(sum(AutoencoderKL.parameterShapes(config))).toBe(49_490_179 + 20);
  });

  it('has with its encoder the 83,653,863 parameters and 248 tensors of the whole', () => {
    const shapes = AutoencoderKL.parameterShapes(config, { encoder: true });
    expect(sum(shapes)).toBe(83_653_863);
    expect(shapes.size).toBe(248);
    const encoder = new Map([...shapes].filter(([name]) => name.startsWith('encoder.')));
    expect(sum(encoder)).toBe(34_163_592);
  });
});
