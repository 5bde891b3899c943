import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OptionError, ShapeError } from '../../src/errors.ts';
import { agreement } from '../../src/metrics/agreement.ts';
import { inceptionScore } from '../../src/metrics/inception-score.ts';
import { labelsOf } from '../../src/metrics/label-names.ts';

// written by test/fixtures/make_set_metrics.py
const { scores } = JSON.parse(readFileSync(join(__dirname, '../fixtures/set-metrics.json'), 'utf8')) as {
  readonly scores: Readonly<
    Record<string, { readonly inceptionScore: number; readonly probabilities: readonly number[][] }>
  >;
};

describe('inceptionScore', () => {
  it.each(Object.entries(scores))("%s: torchmetrics'", (_, { inceptionScore: want, probabilities }) => {
    expect(inceptionScore(probabilities)).toBeCloseTo(want, 6);
  });

  it('is the number of classes where each is seen for certain and equally often, 1 where all pictures are alike', () => {
    expect(
      inceptionScore([
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ]),
    ).toBeCloseTo(3, 12);
    expect(
      inceptionScore([
        [0.2, 0.8],
        [0.2, 0.8],
      ]),
    ).toBeCloseTo(1, 12);
  });

  it('refuses nothing, rows that are no probabilities, and rows of different length', () => {
    expect(() => inceptionScore([])).toThrow(OptionError);
    expect(() =>
      inceptionScore([
        [0.5, 0.5],
        [0.9, 0.9],
      ]),
    ).toThrow(/^probabilities\[1\]: .* whose sum is 1, got a sum of 1\.8/);
    expect(() => inceptionScore([[1.5, -0.5]])).toThrow(OptionError);
    expect(() => inceptionScore([[Number.NaN, 1]])).toThrow('got a sum of NaN');
    expect(() => inceptionScore([[1, 0], [1]])).toThrow(ShapeError);
  });
});

describe('agreement', () => {
  const rows = [
    [0.7, 0.2, 0.1],
    [0.1, 0.5, 0.4],
    [0.3, 0.3, 0.4],
  ];

  it('counts what is found, and how sure that is', () => {
    const found = agreement(rows, [[0], [0], [2]])!;
    expect(found.pictures).toBe(3);
    expect(found.found).toBeCloseTo(2 / 3, 12);
    expect(found.confidence).toBeCloseTo((0.7 + 0.1 + 0.4) / 3, 12);
  });

  it('takes any of several labels, each once, and leaves out what is not known', () => {
    const found = agreement(rows, [undefined, [1, 2, 2], undefined])!;
    expect(found).toMatchObject({ pictures: 1, found: 1 });
    expect(found.confidence).toBeCloseTo(0.9, 12);
    expect(agreement(rows, [undefined, undefined, undefined])).toBeUndefined();
  });

  it('refuses labels that there are not, and a wrong number of them', () => {
    expect(() => agreement(rows, [[0], [3], [0]])).toThrow('wanted[1]: expected labels from 0 to 2, got 3');
    expect(() => agreement(rows, [[0]])).toThrow(OptionError);
  });
});

describe('labelsOf', () => {
  const labels = [
    { names: ['grinning', 'grinning face'], group: 'smiling face' },
    { names: ['cat'] },
    { names: ['cat', 'cat face'], group: 'cat face' },
    { names: ['joy cat'], group: 'cat face' },
    { names: ['snow capped mountain'] },
    { names: ['other'] },
  ];
  const find = (kind: 'class' | 'prompt' | 'unknown', text: string) => labelsOf({ kind, text }, labels);

  it('takes a class for its group, else for a name', () => {
    expect(find('class', 'Smiling Face')).toEqual([0]);
    expect(find('class', 'cat face')).toEqual([2, 3]);
    expect(find('class', 'tabby, cat')).toEqual([1, 2]);
  });

  it.each(['cat', 'a cat', 'Cat', 'cat emoji', 'an emoji of a cat', 'a picture of the cat'])(
    'finds all that a prompt calls so: %s',
    (text) => {
      expect(find('prompt', text)).toEqual([1, 2]);
    },
  );

  it('takes a prompt for a name, else for a group', () => {
    expect(find('prompt', 'a cat face')).toEqual([2]);
    expect(find('prompt', 'an icon of a smiling face')).toEqual([0]);
    expect(find('prompt', 'snow-capped mountain.')).toEqual([4]);
  });

  it('takes a text of unknown kind for both', () => {
    expect(find('unknown', 'cat face')).toEqual([2, 3]);
  });

  it('knows nothing of what says more than a name', () => {
    expect(find('prompt', 'a cat with sunglasses')).toBeUndefined();
    expect(find('prompt', '')).toBeUndefined();
    expect(find('class', '12')).toBeUndefined();
  });
});
