import { readFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { checkDisk, checkMemory, checkProcessor, parseInstructions } from '../../../src/backend/doctor/machine.ts';
import { checkNode, SUPPORTED_NODE } from '../../../src/backend/doctor/node-version.ts';
import { findNvidia, parseNvidiaSmi } from '../../../src/backend/native/nvidia.ts';

afterEach(() => jest.restoreAllMocks());

describe('Node', () => {
  it('is supported from the version on that package.json names', () => {
    expect(JSON.parse(readFileSync('package.json', 'utf8')).engines.node).toBe(SUPPORTED_NODE);
  });

  it.each(['20.15.0', '20.20.2', '22.0.0', '24.21.0'])('%s is supported', (version) => {
    expect(checkNode(version).status).toBe('ok');
  });

  it.each(['18.20.0', '20.14.0'])('%s is not', (version) => {
    expect(checkNode(version)).toMatchObject({ status: 'failed', fix: 'Install Node 22 or 24.' });
  });
});

describe('the processor', () => {
  it('has those instructions that matrices profit from', () => {
    const x64 = 'processor\t: 0\nflags\t\t: fpu sse2 avx avx2 fma avx512f avx512_bf16 amx_tile amx_bf16 rdrand\n';
    expect(parseInstructions(x64)).toEqual(['avx', 'avx2', 'fma', 'avx512f', 'avx512_bf16', 'amx_tile', 'amx_bf16']);
    const arm = 'processor\t: 0\nFeatures\t: fp asimd evtstrm aes bf16 i8mm\n';
    expect(parseInstructions(arm)).toEqual(['asimd', 'bf16', 'i8mm']);
    expect(parseInstructions('')).toEqual([]);
  });

  it('without AVX cannot run TensorFlow', async () => {
    jest.spyOn(files, 'readFile').mockResolvedValue('flags\t\t: fpu sse2 ssse3\n');
    const arch = Object.getOwnPropertyDescriptor(process, 'arch')!;
    Object.defineProperty(process, 'arch', { ...arch, value: 'x64' });
    try {
      expect(await checkProcessor()).toMatchObject({ status: 'warning', problem: 'TensorFlow needs AVX' });
    } finally {
      Object.defineProperty(process, 'arch', arch);
    }
  });

  it('is not blamed where nothing tells what it has', async () => {
    jest.spyOn(files, 'readFile').mockRejectedValue(new Error('ENOENT'));
    expect(await checkProcessor()).toMatchObject({ status: 'ok', instructions: [] });
  });
});

describe('memory', () => {
  it('has the limit of a container, and no limit where there is none', () => {
    const limit = jest.spyOn(process, 'constrainedMemory');
    limit.mockReturnValue(2e9);
    expect(checkMemory().limitBytes).toBe(2e9);
    for (const none of [0, 2 ** 64]) {
      limit.mockReturnValue(none);
      expect(checkMemory()).not.toHaveProperty('limitBytes');
    }
  });
});

describe('a disk', () => {
  it('with little room is a warning', async () => {
    const free = jest.spyOn(files, 'statfs');
    const stats = (bytes: number) => ({ bavail: bytes, bsize: 1 }) as Awaited<ReturnType<typeof files.statfs>>;
    free.mockResolvedValue(stats(5e8));
    expect(await checkDisk('current folder', '/')).toMatchObject({ status: 'warning', freeBytes: 5e8 });
    free.mockResolvedValue(stats(5e9));
    expect(await checkDisk('current folder', '/')).toMatchObject({ status: 'ok' });
  });
});

describe('nvidia-smi', () => {
  it('is read a line a GPU', () => {
    expect(parseNvidiaSmi('NVIDIA A100-SXM4-40GB, 40960, 535.1\nNVIDIA A100-SXM4-40GB, 40960, 535.1\n')).toEqual({
      driver: '535.1',
      gpus: Array(2).fill({ name: 'NVIDIA A100-SXM4-40GB', memoryBytes: 40960 * 2 ** 20 }),
    });
    expect(parseNvidiaSmi('')).toEqual({ driver: undefined, gpus: [] });
  });

  it("is not the only witness: the kernel's driver is there without it, too", async () => {
    const path = process.env.PATH;
    process.env.PATH = '/nowhere';
    try {
      const version = 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\nGCC version: 12';
      const readFile = jest.spyOn(files, 'readFile').mockResolvedValue(version);
      expect(await findNvidia()).toEqual({ driver: '550.54.15', gpus: [] });
      readFile.mockRejectedValue(new Error('ENOENT'));
      expect(await findNvidia()).toBeUndefined();
    } finally {
      process.env.PATH = path;
    }
  });
});
