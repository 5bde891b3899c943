import { OptionError } from '../../src/errors.ts';
import { chooseSpans, measuredSpans, type SpanChoice } from '../../src/lab/measured-spans.ts';

const of = (count: number, squaredError: number): SpanChoice => ({ span: { first: 0, count }, squaredError });

/** Every way to choose, tried. */
function leastError(choices: readonly (readonly SpanChoice[])[], blocks: number): number {
  const [ofStep, ...later] = choices;
  if (!ofStep) return blocks <= 0 ? 0 : Number.POSITIVE_INFINITY;
  return Math.min(
    leastError(later, blocks),
    ...ofStep.map(({ span, squaredError }) => squaredError + leastError(later, blocks - span.count)),
  );
}

describe('chooseSpans', () => {
  it('saves as many blocks at the least error', () => {
    let seed = 1;
    const random = () => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    for (let trial = 0; trial < 20; trial++) {
      const choices = Array.from({ length: 5 }, (_, step) =>
        step % 2 === 0 ? [] : [2, 3, 5].map((count) => of(count, random() * count)),
      );
      for (const blocks of [0, 1, 4, 7.5, 10]) {
        const spans = chooseSpans(choices, blocks)!;
        expect(spans).toHaveLength(5);
        const chosen = spans.flatMap((span, step) => (span ? choices[step]!.filter((one) => one.span === span) : []));
        expect(chosen.reduce((sum, { span }) => sum + span.count, 0)).toBeGreaterThanOrEqual(blocks);
        const error = chosen.reduce((sum, { squaredError }) => sum + squaredError, 0);
        expect(error).toBeCloseTo(leastError(choices, blocks), 10);
      }
    }
  });

  it('says where the steps cannot save as much', () => {
    expect(chooseSpans([[], [of(3, 1)]], 4)).toBeUndefined();
    expect(chooseSpans([[], []], 0)).toEqual([undefined, undefined]);
  });
});

describe('measuredSpans', () => {
  const setting = { depth: 4, branches: ['self', 'mlp'] as const, timesteps: [] };
  const spans = [undefined, { first: 0, count: 2 }, undefined, { first: 1, count: 3 }, undefined];
  const policy = measuredSpans(spans, { name: 'taylor', order: 1 });

  it('skips each step’s own span, and records it where it is computed before', () => {
    const { steps, keeps, predictor } = policy.plan({ ...setting, numInferenceSteps: 5 });
    expect([keeps, predictor]).toEqual(['delta', { name: 'taylor', order: 1 }]);
    const span = (first: number, count: number) => ({ kind: 'span', first, count });
    expect(steps.map(({ reuse }) => reuse)).toEqual([[], [span(0, 2)], [], [span(1, 3)], []]);
    expect(steps.map(({ record }) => record)).toEqual([[span(0, 2), span(1, 3)], [], [span(1, 3)], [], []]);
  });

  it('is of as many steps as were measured', () => {
    expect(() => policy.plan({ ...setting, numInferenceSteps: 6 })).toThrow(OptionError);
  });
});
