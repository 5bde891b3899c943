import { CheckpointError, OptionError } from '../../src/errors.ts';
import { type DiTConfig, ditCost, headsOfWidth, withNumerics } from '../../src/models/dit-config.ts';
import { parseAutoencoderKLConfig, parseDiTConfig } from '../../src/models/parse-config.ts';

const CONFIG: DiTConfig = {
  hiddenSize: 1152,
  depth: 28,
  numHeads: 16,
  patchSize: 2,
  mlpRatio: 4,
  inChannels: 4,
  outChannels: 8,
  inputSize: 32,
  numClasses: 1000,
  frequencyShift: 0,
  normEps: 1e-6,
};
const VAE = {
  blockOutChannels: [4, 8],
  layersPerBlock: 1,
  latentChannels: 4,
  outChannels: 3,
  normNumGroups: 2,
  scalingFactor: 0.5,
};

describe('withNumerics', () => {
  it('changes the frequency shift and the epsilon of the norm before the MLP, and nothing else', () => {
    expect(withNumerics(CONFIG, 'original')).toEqual(CONFIG);
    expect(withNumerics(CONFIG, 'diffusers')).toEqual({ ...CONFIG, frequencyShift: 1, normEps: 1e-5 });
  });

  it("keeps the epsilon that a diffusers folder's config gives, and drops it for the original", () => {
    const diffusers: DiTConfig = { ...CONFIG, frequencyShift: 1, normEps: 1e-4 };
    expect(withNumerics(diffusers, 'diffusers')).toEqual(diffusers);
    expect(withNumerics(diffusers, 'original')).toEqual(CONFIG);
  });
});

describe('headsOfWidth', () => {
  it.each([
    [384, 6],
    [768, 12],
    [1024, 16],
    [1152, 16],
  ])('knows width %d', (width, heads) => {
    expect(headsOfWidth(width)).toBe(heads);
    expect(headsOfWidth(width, 3)).toBe(3);
  });

  it('asks at other widths', () => {
    expect(headsOfWidth(48, 4)).toBe(4);
    expect(() => headsOfWidth(48)).toThrow(OptionError);
    expect(() => headsOfWidth(48)).toThrow('give --num-heads (numHeads)');
  });
});

describe('ditCost', () => {
  it('counts a block as 12·D²·T + 6·D² and 2·T²·D', () => {
    const [d, t] = [1152, 256];
    expect(ditCost(CONFIG)).toEqual({
      depth: 28,
      blockLinear: 12 * d * d * t + 6 * d * d,
      blockAttention: 2 * t * t * d,
      branches: {
        self: { linear: 4 * d * d * t, attention: 2 * t * t * d },
        mlp: { linear: 8 * d * d * t, attention: 0 },
      },
    });
  });
});

describe('parseDiTConfig and parseAutoencoderKLConfig', () => {
  it('take a whole configuration', () => {
    expect(parseDiTConfig('x', JSON.parse(JSON.stringify(CONFIG)))).toEqual(CONFIG);
    expect(parseAutoencoderKLConfig('x', VAE)).toEqual(VAE);
  });

  it.each([
    ['hiddenSize', 1150],
    ['numHeads', 5],
    ['patchSize', 3],
    ['depth', 0],
    ['outChannels', 3],
    ['frequencyShift', 2],
    ['normEps', -1],
  ])('refuse %s = %p', (name, value) => {
    expect(() => parseDiTConfig('manifest.json', { ...CONFIG, [name]: value })).toThrow(CheckpointError);
    expect(() => parseDiTConfig('manifest.json', { ...CONFIG, [name]: value })).toThrow(
      new RegExp(`manifest.json: [^]*${name}`),
    );
  });

  it('name every field that does not fit, together', () => {
    const parse = () => parseDiTConfig('x', { ...CONFIG, depth: 'many', patchSize: undefined });
    expect(parse).toThrow(/depth/);
    expect(parse).toThrow(/patchSize/);
    expect(() => parseAutoencoderKLConfig('x', { ...VAE, blockOutChannels: [] })).toThrow(/blockOutChannels/);
  });

  it('refuse channels that do not split into groups', () => {
    expect(() => parseAutoencoderKLConfig('x', { ...VAE, blockOutChannels: [4, 9] })).toThrow(/normNumGroups/);
  });
});
