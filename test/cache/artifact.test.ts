import { artifactJson, hasPlan, parseArtifact, type TableArtifact } from '../../src/cache/artifact.ts';
import { type CachePlan, checkPlan } from '../../src/cache/plan.ts';
import { planFromJson, planToJson } from '../../src/cache/plan-json.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { fasterDiffusion } from '../../src/cache/policies/faster-diffusion.ts';
import { fora } from '../../src/cache/policies/fora.ts';
import { forecast } from '../../src/cache/policies/forecast.ts';
import { pyramidAttentionBroadcast } from '../../src/cache/policies/pyramid-attention-broadcast.ts';
import { deltaCache } from '../../src/cache/policies/span-cache.ts';
import { tablePolicy } from '../../src/cache/policies/table.ts';
import { taylorSeer } from '../../src/cache/policies/taylor-seer.ts';
import type { StaticPolicy } from '../../src/cache/policy.ts';
import { siteKey } from '../../src/cache/site.ts';
import { FormatError, OptionError } from '../../src/errors.ts';
import { planSetting } from '../support/plans.ts';

const SETTING = planSetting(20, 8, ['self', 'cross', 'mlp']);
const POLICIES: StaticPolicy[] = [
  deltaDiT(),
  deltaDiT({ interval: 3, stageBound: 8, predictor: { name: 'taylor', order: 2 } }),
  deltaCache({ region: 'middle', interval: 7 }),
  fasterDiffusion(),
  fora({ interval: 4 }),
  taylorSeer({ interval: 3, order: 2 }),
  taylorSeer({ predictor: { name: 'chebyshev', degree: 3, steps: 20, history: 9 } }),
  pyramidAttentionBroadcast(),
  forecast({ interval: 3, keeps: 'x0' }),
];

/** Sites of a step in the order of their names: JSON groups branches. */
function sorted(plan: CachePlan): CachePlan {
  const inOrder = (sites: CachePlan['steps'][number]['reuse']) =>
    [...sites].sort((a, b) => siteKey(a).localeCompare(siteKey(b)));
  const steps = plan.steps.map((step) => ({ ...step, reuse: inOrder(step.reuse), record: inOrder(step.record) }));
  return { ...plan, steps };
}

describe('a plan as JSON', () => {
  it.each(POLICIES.map((policy, i) => [`${policy.name} ${i}`, policy] as const))(
    '%s comes back as it was',
    (_, policy) => {
      const plan = policy.plan(SETTING);
      const read = planFromJson('plan.json', JSON.parse(JSON.stringify(planToJson(plan))));
      expect(sorted(read)).toEqual(sorted(plan));
      expect(checkPlan(read, SETTING)).toBe(read);
    },
  );

  it('says what a step reuses in a line', () => {
    const { steps, predictor, keeps } = planToJson(fora({ interval: 2 }).plan(planSetting(4, 8)));
    expect(steps).toEqual(['', '', 'self:0-7 mlp:0-7', '']);
    expect([predictor, keeps]).toEqual([{ name: 'hold' }, 'output']);
    expect(planToJson(deltaDiT().plan(planSetting(20, 28))).steps.slice(0, 2)).toEqual(['', '7-27']);
  });

  it('keeps what does not follow: other records, and one guidance half', () => {
    const plan = fora({ interval: 2 }).plan(planSetting(4, 1));
    const odd = {
      ...plan,
      steps: plan.steps.map((step) => (step.step === 3 ? { ...step, rows: 'cond' as const } : step)),
    };
    odd.steps[0] = { ...odd.steps[0]!, record: odd.steps[1]!.record };
    expect(planFromJson('x', planToJson(odd))).toEqual(odd);
  });

  const json = planToJson(fora({ interval: 2 }).plan(planSetting(4, 2)));
  it.each<[unknown, RegExp]>([
    [{ ...json, steps: ['self:0', '', '', ''] }, /step 0 reuses block 0's self, which no step before it computes/],
    [{ ...json, steps: ['', 'self:7', '', ''] }, /names block 7's self of 2/],
    [{ ...json, steps: ['', 'cross:0', '', ''] }, /names block 0's cross/],
    [{ ...json, steps: ['', '0 self:0', '', ''] }, /names another site inside it/],
    [{ ...json, steps: [] }, /steps/],
    [{ ...json, depth: -1 }, /depth/],
    [{ ...json, predictor: { name: 'taylor', order: 77 } }, /predictor taylor: .* got 77/],
    [{ ...json, predictor: { name: 'oracle' } }, /predictor/],
    [{ ...json, more: 1 }, /more/],
    [7, /not a plan/],
  ])('refuses what is none: %#', (wrong, message) => {
    expect(() => planFromJson('plan.json', wrong)).toThrow(FormatError);
    expect(() => planFromJson('plan.json', wrong)).toThrow(message);
  });
});

describe('artifacts', () => {
  const run = { sha256: ['b', 'a'], sampler: 'ddim', guidanceScale: 4, width: 512, height: 512 };
  const setting = { ...planSetting(4, 2), run };
  const artifact: TableArtifact = {
    method: 'smoothcache',
    fingerprint: { ...run, sha256: ['a', 'b'], numInferenceSteps: 4, timesteps: setting.timesteps },
    options: { threshold: 0.18 },
    plan: fora({ interval: 2 }).plan(setting),
    measured: { errors: [[0.1, 0.25], []] },
  };

  it('come back as they were, with numbers of a list in one line', () => {
    const text = artifactJson(artifact);
    expect(parseArtifact('a.json', text)).toEqual(artifact);
    expect(text).toContain('[ 0.1, 0.25 ]');
    const tea = { method: 'teacache', fingerprint: {}, coefficients: [1, -2e-7, 3] };
    const read = parseArtifact('t.json', artifactJson(tea));
    expect(read).toEqual(tea);
    expect(hasPlan(read)).toBe(false);
  });

  it('serve the run that they were made for, and one of which nothing is known', () => {
    expect(tablePolicy(artifact).plan(setting)).toBe(artifact.plan);
    expect(tablePolicy(artifact).plan(planSetting(4, 2))).toBe(artifact.plan);
    expect(tablePolicy({ ...artifact, fingerprint: {} }).plan(setting)).toBe(artifact.plan);
    expect(tablePolicy(artifact).name).toBe('smoothcache');
  });

  it.each([
    [{ ...setting, run: { ...run, sha256: ['c'] } }, 'other weights'],
    [{ ...setting, run: { ...run, sampler: 'dpm-solver++' } }, 'sampler ddim, not dpm-solver++'],
    [{ ...setting, run: { ...run, guidanceScale: 1.5 } }, 'guidance scale 4, not 1.5'],
    [{ ...setting, run: { ...run, width: 1024, height: 1024 } }, 'width 512, not 1024; height 512, not 1024'],
    [{ ...setting, timesteps: [9, 7, 5, 3] }, 'other timesteps'],
    [{ ...planSetting(4, 3), run }, 'blocks 2, not 3'],
    [{ ...planSetting(4, 2, ['self', 'cross', 'mlp']), run }, 'branches self+mlp, not self+cross+mlp'],
    [
      { ...planSetting(5, 2), run: { ...run, sampler: 'lcm' } },
      'sampler ddim, not lcm; steps 4, not 5; other timesteps',
    ],
  ])('refuse another run in one error: %#', (other, difference) => {
    expect(() => tablePolicy(artifact).plan(other)).toThrow(
      new OptionError(
        `cache smoothcache: calibrated for another run: ${difference}; calibrate for this one ("delta-dit calibrate"), or sample as that run did`,
      ),
    );
  });

  it.each([
    ['{}', /not a file of a cache method/],
    ['[]', /expected a JSON object/],
    ['{"format":"delta-dit-cache","version":9}', /of version 9, this reads 1; update/],
    ['{"format":"delta-dit-cache","version":1,"method":"x","fingerprint":{}}', /expected a plan or coefficients/],
    [
      '{"format":"delta-dit-cache","version":1,"method":"\\u001b[2J","fingerprint":{},"coefficients":[1]}',
      /expected a name/,
    ],
    [
      '{"format":"delta-dit-cache","version":1,"method":"x","fingerprint":{"seed":1},"coefficients":[1]}',
      /fingerprint/,
    ],
  ])('refuses %s', (text, message) => {
    expect(() => parseArtifact('a.json', text)).toThrow(FormatError);
    expect(() => parseArtifact('a.json', text)).toThrow(message);
  });
});
