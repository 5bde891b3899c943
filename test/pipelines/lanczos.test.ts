import { resizeLanczos } from '../../src/pipelines/lanczos.ts';
import { type Fixture, readFixture } from '../support/fixtures.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await readFixture('emoji-encoding.safetensors');
});

describe('resizeLanczos', () => {
  it.each([
    [60, 52],
    [64, 61],
    [40, 64],
    [71, 80],
  ])('is Pillow’s to the bit: 64×64 to %d×%d', (width, height) => {
    const resized = resizeLanczos(fixture.picture('pixels'), width, height);
    const expected = fixture.picture(`resized.${width}x${height}`);
    expect([resized.width, resized.height]).toEqual([width, height]);
    expect(Buffer.from(resized.data).equals(Buffer.from(expected.data))).toBe(true);
  });

  it('leaves a picture of that size alone', () => {
    const same = fixture.picture('pixels');
    expect(resizeLanczos(same, 64, 64)).toBe(same);
  });
});
