import { readFileSync, writeFileSync } from 'node:fs';
import { hasPlan, parseArtifact } from '../../src/cache/artifact.ts';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const DIT = `${PARITY}/dit-tiny-diffusers`;
const PIXART = 'test/fixtures/pixart/tiny-diffusers';

const { path: at, remove } = scratchFolder();
afterAll(remove);

const artifactAt = (path: string) => parseArtifact(path, readFileSync(path, 'utf8'));

describe('calibrate of a DiT', () => {
  const made = ['--steps', '5', '--class', '1', '--samples', '2'];

  it('writes a schedule that generate follows, and that a picture repeats', async () => {
    const path = at('smooth.json');
    const { code, stderr } = await runCli(
      'calibrate',
      DIT,
      '--method',
      'smoothcache',
      '--threshold',
      '9',
      ...made,
      '-o',
      path,
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('smoothcache: computes the blocks of 2.0 of 5 steps, 2.50× fewer');
    const artifact = artifactAt(path);
    expect(artifact).toMatchObject({ method: 'smoothcache', fingerprint: { sampler: 'ddim', numInferenceSteps: 5 } });
    const picture = at('out.png');
    const run = ['--class', '1', '--steps', '5', '--cache', path, '--json'];
    const first = await runCli('generate', '-m', DIT, ...run, '--seed', '3', '-o', picture);
    const { report, settings } = JSON.parse(first.stdout);
    expect([report.cache, settings.cache]).toEqual(['smoothcache', path]);
    expect(report.blocksComputed).toBeCloseTo(2 * 3, 9); // 3 blocks
    const again = await runCli('generate', '--from-image', picture, '-o', at('again.png'), '--quiet');
    expect(again).toMatchObject({ code: 0 });
    expect(readFileSync(at('again.png')).equals(readFileSync(picture))).toBe(true);
  });

  it('writes what the others measure', async () => {
    for (const method of ['magcache', 'teacache']) {
      const path = at(`${method}.json`);
      expect(await runCli('calibrate', '-m', DIT, '--method', method, ...made, '-o', path, '-q')).toMatchObject({
        code: 0,
        stderr: '',
      });
      expect(hasPlan(artifactAt(path))).toBe(method === 'magcache');
    }
  });

  it('refuses what cannot be, before it measures', async () => {
    writeFileSync(at('there.json'), 'mine');
    const calibrate = (...args: string[]) => runCli('calibrate', DIT, '--steps', '5', '-o', at('x.json'), ...args);
    expectRefusal(await calibrate(), /--method/);
    expectRefusal(await calibrate('--method', 'fora'), /smoothcache, magcache, teacache/);
    expectRefusal(await calibrate('--method', 'magcache', '--lookahead', '2'), /lookahead: is no rule of magcache/);
    expectRefusal(await calibrate('--method', 'magcache', '--samples', '0'), /--samples: expected at least 1/);
    expectRefusal(await calibrate('--method', 'magcache', '-o', at('there.json')), /there\.json/);
    expect(readFileSync(at('there.json'), 'utf8')).toBe('mine');
  });
});

describe('calibrate of a PixArt', () => {
  it('is true of the size that it painted', async () => {
    const path = at('pixart.json');
    const { code } = await runCli(
      'calibrate',
      PIXART,
      '--method',
      'smoothcache',
      '-p',
      'a cat',
      '--steps',
      '4',
      '--samples',
      '1',
      '-o',
      path,
      '-q',
    );
    expect(code).toBe(0);
    const artifact = artifactAt(path);
    expect(artifact.fingerprint).toMatchObject({ width: 32, height: 32, numInferenceSteps: 4 });
    expect(hasPlan(artifact) && artifact.plan.branches).toEqual(['self', 'cross', 'mlp']);
    const explain = (...args: string[]) =>
      runCli('generate', '--explain', '-m', PIXART, '-p', 'a dog', '--cache', path, ...args);
    expect((await explain('--steps', '4')).stdout).toContain('smoothcache: steps from noise');
    expectRefusal(
      await explain('--steps', '4', '-W', '64', '-H', '32'),
      /calibrated for another run: width 32, not 64/,
    );
    expectRefusal(await explain('--steps', '5'), /steps 4, not 5/);
  });
});
