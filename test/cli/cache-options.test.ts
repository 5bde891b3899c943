import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { artifactJson } from '../../src/cache/artifact.ts';
import { countBlocks } from '../../src/cache/plan.ts';
import { fora } from '../../src/cache/policies/fora.ts';
import { isStatic } from '../../src/cache/policy.ts';
import { CACHE_NAMES, cachePolicy } from '../../src/cli/cache-options.ts';
import { FileError, FormatError, OptionError } from '../../src/errors.ts';
import { planSetting, staticPlan } from '../support/plans.ts';
import { branch, drawSite, SCHEDULES } from '../support/schedules.ts';
import { scratchFolder } from './run-cli.ts';

const ROUTER = join(__dirname, '../fixtures/l2c-router.pt');
const planOf = async (name: string, options: readonly string[], setting = planSetting(8, 4)) => {
  const policy = await cachePolicy(name, options);
  if (!policy) throw new Error('no policy');
  return staticPlan(policy, setting);
};

const scratch = scratchFolder();
afterAll(() => scratch.remove());

function file(name: string, content: string | Uint8Array): string {
  const path = scratch.path(name);
  writeFileSync(path, content);
  return path;
}

describe('--cache by name', () => {
  it('is none, or a method', async () => {
    expect(await cachePolicy(undefined, [])).toBeUndefined();
    expect(await cachePolicy('none', [])).toBeUndefined();
    expect((await cachePolicy('taylorseer', []))?.name).toBe('taylorseer');
    await expect(cachePolicy('none', ['a=1'])).rejects.toThrow(/needs --cache with a method/);
    await expect(cachePolicy('fara', [])).rejects.toThrow(/expected none, auto, delta-dit, .*fora, .* or a file/);
  });

  it.each(CACHE_NAMES)('%s tells its options from others', async (name) => {
    await expect(cachePolicy(name, ['shape=1'])).rejects.toThrow(new RegExp(`${name} takes \\w+.*; got "shape"`));
  });

  it('reads numbers, lists, predictors and names', async () => {
    const span = branch(0, 'self');
    expect(drawSite(await planOf('fora', ['interval=2']), span)).toBe('##.#.#.#');
    expect((await planOf('fora', ['interval=4,predictor=taylor:1'])).predictor).toEqual({ name: 'taylor', order: 1 });
    expect((await planOf('delta-dit', ['predictor=linear'])).predictor).toEqual({ name: 'taylor', order: 1 });
    const front = { kind: 'span', first: 0, count: 2 } as const;
    const keys = await planOf('faster-diffusion', ['keySteps=0+3+7', 'cachedBlocks=2']);
    expect(drawSite(keys, front)).toBe('#..#...#');
    expect((await planOf('forecast', ['keeps=x0'])).keeps).toBe('x0');
    expect(drawSite(await planOf('pab', ['minTimestep=0', 'maxTimestep=1000']), span)).toBe('#.#.#.#.');
  });

  it.each([
    ['fora', 'interval=', /--cache-option interval: expected a number, got ""/],
    ['fora', 'interval=two', /expected a number, got "two"/],
    ['fora', 'predictor=oracle', /predictor: expected hold, /],
    ['faster-diffusion', 'keySteps=1+x', /keySteps: expected a number, got "x"/],
    ['forecast', 'keeps=all', /keeps: expected output or x0, got "all"/],
  ])('refuses %s %s', async (name, option, message) => {
    await expect(cachePolicy(name, [option])).rejects.toThrow(OptionError);
    await expect(cachePolicy(name, [option])).rejects.toThrow(message);
  });
});

describe('--cache of a file', () => {
  const setting = planSetting(8, 2);

  it('follows a schedule that was written', async () => {
    const plan = fora({ interval: 3 }).plan(setting);
    const path = file('plan.json', artifactJson({ method: 'tuned', fingerprint: { numInferenceSteps: 8 }, plan }));
    expect((await cachePolicy(path, []))?.name).toBe('tuned');
    expect(drawSite(await planOf(path, [], setting), branch(1, 'mlp'))).toBe(drawSite(plan, branch(1, 'mlp')));
    await expect(planOf(path, [], planSetting(9, 2))).rejects.toThrow(/steps 8, not 9/);
    await expect(cachePolicy(path, ['threshold=1'])).rejects.toThrow(/threshold: .* which was made with one/);
  });

  it('reads SmoothCache’s own JSON', async () => {
    const path = file('smooth.json', '{"attn":[1,0,1,0,1,0,1,1],"mlp-1":[1,0,0,1,0,0,1,1]}');
    const plan = await planOf(path, [], setting);
    expect(drawSite(plan, branch(0, 'self'))).toBe('#.#.#.##');
    expect(drawSite(plan, branch(1, 'mlp'))).toBe('#..#..##');
    expect(drawSite(plan, branch(0, 'mlp'))).toBe('########');
  });

  it('reads a router of Learning-to-Cache', async () => {
    const { steps, depth, threshold, computed } = SCHEDULES.learningToCache;
    const plan = await planOf(ROUTER, [`threshold=${threshold}`], planSetting(steps, depth));
    for (let block = 0; block < depth; block++) {
      expect(drawSite(plan, branch(block, 'self'))).toBe(computed.attn[block]);
      expect(drawSite(plan, branch(block, 'mlp'))).toBe(computed.mlp[block]);
    }
  });

  it('follows a router as HarmoniCa does, where it is told so', async () => {
    const { steps, depth } = SCHEDULES.learningToCache;
    const setting = planSetting(steps, depth);
    const [learned, harmonica] = [
      await planOf(ROUTER, [], setting),
      await planOf(ROUTER, ['method=harmonica'], setting),
    ];
    expect((await cachePolicy(ROUTER, ['method=harmonica']))?.name).toBe('harmonica');
    expect(countBlocks(harmonica).computed).toBeLessThan(countBlocks(learned).computed); // odd steps hold, too
    await expect(cachePolicy(ROUTER, ['method=ecad'])).rejects.toThrow(
      /expected learning-to-cache or harmonica, got "ecad"/,
    );
    const smooth = file('smooth-again.json', '{"attn":[1,0]}');
    await expect(cachePolicy(smooth, ['method=harmonica'])).rejects.toThrow(/method: is of a router/);
  });

  it('reads ECAD’s own JSON', async () => {
    const all = { attn1: true, attn2: true, ff: true };
    const schedule = { '000': { '0': all }, '001': { '0': { ...all, attn2: false } } };
    const json = { cache_schedule: { num_blocks: 1, num_inference_steps: 2, name: 'x', schedule } };
    const path = file('ecad.json', JSON.stringify(json));
    const plan = await planOf(path, [], { ...planSetting(2, 1), branches: ['self', 'cross', 'mlp'] });
    expect(plan.steps[1]!.reuse).toEqual([branch(0, 'cross')]);
    await expect(cachePolicy(path, ['threshold=1'])).rejects.toThrow(/threshold: .* which was made with one/);
  });

  it('gives TeaCache the coefficients of a model, for that model alone', async () => {
    const tea = artifactJson({ method: 'teacache', fingerprint: { sha256: ['a'] }, coefficients: [1, 0] });
    const policy = await cachePolicy(file('tea.json', tea), ['threshold=0.5']);
    if (!policy || isStatic(policy)) throw new Error('expected a method that decides as it runs');
    expect(policy.name).toBe('teacache');
    expect(() => policy.begin({ ...setting, run: { sha256: ['a'], sampler: 'ddim' } })).not.toThrow();
    expect(() => policy.begin({ ...setting, run: { sha256: ['b'] } })).toThrow(
      /calibrated for another run: other weights/,
    );
  });

  it('refuses other files, each with its reason', async () => {
    await expect(cachePolicy(scratch.path('absent.json'), [])).rejects.toThrow(FileError);
    await expect(cachePolicy(file('broken.json', '{'), [])).rejects.toThrow(FormatError);
    await expect(cachePolicy(file('other.json', '{"a":1}'), [])).rejects.toThrow(/not a file of a cache method/);
    await expect(cachePolicy(file('cut.pt', readFileSync(ROUTER).subarray(0, 900)), [])).rejects.toThrow(FormatError);
    await expect(cachePolicy(join(__dirname, '../fixtures/torch/none.pt'), [])).rejects.toThrow(FileError);
  });
});
