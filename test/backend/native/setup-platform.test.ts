import { recipeFor, recipeForThisMachine } from '../../../src/backend/native/setup-platform.ts';

const LINUX = { platform: 'linux', arch: 'x64', glibc: '2.36' };

function refusal(...asked: Parameters<typeof recipeFor>): string {
  const answer = recipeFor(...asked);
  if (!('refusal' in answer)) throw new Error(`not refused: ${answer.recipe.wheels[0]?.package}`);
  return answer.refusal;
}

describe('the native part for a machine', () => {
  it.each([
    ['x64', 'tensorflow-cpu', 'manylinux_2_27_x86_64'],
    ['arm64', 'tensorflow', 'manylinux_2_27_aarch64'],
  ])('on Linux %s is %s', (arch, name, platform) => {
    expect(recipeFor({ ...LINUX, arch })).toMatchObject({
      recipe: { tensorflow: '2.21.0', platforms: [platform], wheels: [{ package: name, version: '2.21.0' }] },
    });
  });

  it('is there from glibc 2.27 on', () => {
    expect(recipeFor({ ...LINUX, glibc: '2.27' })).toHaveProperty('recipe');
    expect(recipeFor({ ...LINUX, glibc: '3.0' })).toHaveProperty('recipe');
    expect(refusal({ ...LINUX, glibc: '2.26' })).toMatch(/needs glibc 2\.27 or newer, and this system has glibc 2\.26/);
  });

  it.each([
    ['darwin', 'macOS'],
    ['win32', 'Windows'],
    ['freebsd', 'freebsd'],
  ])('is refused on %s by name, with the prebuilt package', (platform, name) => {
    const text = refusal({ platform, arch: 'arm64', glibc: undefined });
    expect(text).toContain(`this is ${name}`);
    expect(text).toContain('`npm install @tensorflow/tfjs-node@4.22.0`');
  });

  it('is refused on other processors and other C libraries', () => {
    expect(refusal({ ...LINUX, arch: 'ppc64' })).toMatch(/no TensorFlow for Linux on ppc64/);
    expect(refusal({ ...LINUX, glibc: undefined })).toMatch(/another C library \(musl/);
  });
});

describe('the native part for a GPU', () => {
  it("is there on Linux x64, with TensorFlow's CUDA build and NVIDIA's libraries", () => {
    expect(recipeFor(LINUX, 'gpu')).toMatchObject({
      recipe: { device: 'gpu', npmPackage: '@tensorflow/tfjs-node-gpu', wheels: { length: 13 } },
    });
  });

  it('is refused on Linux arm64, where TensorFlow has no CUDA', () => {
    expect(refusal({ ...LINUX, arch: 'arm64' }, 'gpu')).toBe(
      'There is no TensorFlow with CUDA for Linux on arm64, only on x64. Leave --gpu out.',
    );
  });

  it('is refused on macOS, on Windows with the prebuilt package', () => {
    const elsewhere = (platform: string) => refusal({ platform, arch: 'x64', glibc: undefined }, 'gpu');
    expect(elsewhere('darwin')).toMatch(
      /--gpu works on Linux only, and this is macOS\. There is no TensorFlow with CUDA/,
    );
    expect(elsewhere('win32')).toContain('`npm install @tensorflow/tfjs-node-gpu@4.22.0`');
  });

  it('is refused on another C library', () => {
    expect(refusal({ ...LINUX, glibc: undefined }, 'gpu')).toMatch(/another C library/);
  });
});

describe('this machine', () => {
  it("is asked without looking up its network's names, and the setting is left as it was", () => {
    const report = process.report as typeof process.report & { excludeNetwork: boolean };
    const seen: boolean[] = [];
    const getReport = jest.spyOn(process.report, 'getReport').mockImplementation(() => {
      seen.push(report.excludeNetwork);
      return { header: { glibcVersionRuntime: '2.36' } };
    });
    recipeForThisMachine();
    getReport.mockRestore();
    expect(seen).toEqual(process.platform === 'linux' ? [true] : []);
    expect(report.excludeNetwork).toBe(false);
  });
});
