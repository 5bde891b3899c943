import { wheelFor } from '../../../src/backend/native/setup-platform.ts';

const LINUX = { platform: 'linux', arch: 'x64', glibc: '2.36' };

function refusal(machine: Parameters<typeof wheelFor>[0]): string {
  const answer = wheelFor(machine);
  if (!('refusal' in answer)) throw new Error(`not refused: ${answer.wheel.package}`);
  return answer.refusal;
}

describe('the wheel for a machine', () => {
  it.each([
    ['x64', 'tensorflow-cpu', 'manylinux_2_27_x86_64'],
    ['arm64', 'tensorflow', 'manylinux_2_27_aarch64'],
  ])('on Linux %s is %s', (arch, name, platform) => {
    expect(wheelFor({ ...LINUX, arch })).toMatchObject({ wheel: { package: name, version: '2.21.0', platform } });
  });

  it('is there from glibc 2.27 on', () => {
    expect(wheelFor({ ...LINUX, glibc: '2.27' })).toHaveProperty('wheel');
    expect(wheelFor({ ...LINUX, glibc: '3.0' })).toHaveProperty('wheel');
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
