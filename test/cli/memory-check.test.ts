import { checkMemory, type MemoryLimit, memoryLimits, weightCopies } from '../../src/cli/memory-check.ts';
import { BackendError } from '../../src/errors.ts';
import type { OpenedCheckpoint } from '../../src/index.ts';
import { DIT_SIZES } from '../../src/models/dit-config.ts';

/** DiT-XL/2 of 512 px with the autoencoder of Stable Diffusion. */
const XL: OpenedCheckpoint = {
  pipeline: 'DiTPipeline',
  name: 'dit-xl-512',
  transformer: {
    config: {
      ...DIT_SIZES.XL,
      patchSize: 2,
      mlpRatio: 4,
      inChannels: 4,
      outChannels: 8,
      inputSize: 64,
      numClasses: 1000,
      frequencyShift: 0,
      normEps: 1e-6,
    },
    archive: { name: 'none', metadata: new Map(), tensors: new Map(), close: async () => {} },
  },
  vae: {
    config: {
      blockOutChannels: [128, 256, 512, 512],
      layersPerBlock: 2,
      latentChannels: 4,
      outChannels: 3,
      normNumGroups: 32,
      scalingFactor: 0.18215,
    },
    archive: { name: 'none', metadata: new Map(), tensors: new Map(), close: async () => {} },
  },
  numerics: 'original',
  scheduler: {},
  labels: [],
  defaults: {},
  files: [],
  sha256: [],
  close: async () => {},
};
const limit = (gigabytes: number, advice?: string): MemoryLimit => ({
  bytes: gigabytes * 1e9,
  reason: 'is there',
  ...(advice ? { advice } : {}),
});
const problem = async (pictures: number, guided: boolean, ...limits: MemoryLimit[]): Promise<string> => {
  try {
    await checkMemory(XL, { pictures, guided }, limits);
  } catch (error) {
    expect(error).toBeInstanceOf(BackendError);
    return (error as Error).message;
  }
  return '';
};

describe('checkMemory', () => {
  it('lets pass what fits, and anything where no limit is known', async () => {
    expect(await problem(1, true, limit(8))).toBe('');
    expect(await problem(1000, true)).toBe('');
  });

  it('says how much is needed, how much there is, and which batch would fit', async () => {
    const text = await problem(8, true, limit(5));
    expect(text).toMatch(
      /^dit-xl-512: 8 pictures at once would take about \d\.\d GB of memory, and 5\.0 GB is there; give --batch-size \d, or --force-memory tries it all the same$/,
    );
    const fitting = Number(/--batch-size (\d+)/.exec(text)?.[1]);
    expect(await problem(fitting, true, limit(5))).toBe('');
    expect(await problem(fitting + 1, true, limit(5))).not.toBe('');
  });

  it('counts one half without guidance', async () => {
    expect(await problem(8, true, limit(5))).not.toBe('');
    expect(await problem(8, false, limit(5))).toBe('');
  });

  it('counts weights as often as a backend holds them', async () => {
    const limits = [limit(5)];
    await expect(checkMemory(XL, { pictures: 1, guided: true }, limits, 1)).resolves.toBeUndefined();
    await expect(checkMemory(XL, { pictures: 1, guided: true }, limits, 2)).rejects.toThrow(BackendError);
    expect([weightCopies({ name: 'wasm' }), weightCopies({ name: 'tensorflow' })]).toEqual([2, 1]);
  });

  it('names what helps where not even one picture fits', async () => {
    expect(await problem(1, true, limit(100), limit(3, 'use another backend'))).toMatch(
      /one picture would take about 3\.\d GB of memory, and 3\.0 GB is there; use another backend, or --force-memory/,
    );
    expect(await problem(1, true, limit(-1))).toMatch(/and 0\.0 GB is there; --force-memory/);
  });
});

describe('memoryLimits', () => {
  it('are those of the machine, of its container, and of WebAssembly under it', () => {
    const bytes = (name: string, gpu = false) => memoryLimits({ name, gpu }).map((one) => one.bytes);
    expect(bytes('tensorflow')).toHaveLength(2);
    expect(Math.min(...bytes('tensorflow'))).toBeGreaterThan(0);
    expect(bytes('wasm')[2]).toBe(4_294_901_760);
    expect(bytes('tensorflow', true)).toEqual([]);
  });
});
