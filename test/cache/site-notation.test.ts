import type { Site } from '../../src/cache/site.ts';
import { MODEL_SITE, spanSite } from '../../src/cache/site.ts';
import { formatSites, parseSites } from '../../src/cache/site-notation.ts';
import { FormatError } from '../../src/errors.ts';
import { branch } from '../support/schedules.ts';

const CASES: [string, readonly Site[]][] = [
  ['', []],
  ['model', [MODEL_SITE]],
  ['0-20', [spanSite({ first: 0, count: 21 })]],
  ['7 9-10', [spanSite({ first: 7, count: 1 }), spanSite({ first: 9, count: 2 })]],
  ['mlp:0-2,4', [0, 1, 2, 4].map((block) => branch(block, 'mlp'))],
  ['self:0-1 mlp:1', [branch(0, 'self'), branch(1, 'self'), branch(1, 'mlp')]],
  ['3-5 cross:6', [spanSite({ first: 3, count: 3 }), branch(6, 'cross')]],
];

it.each(CASES)('%j', (text, sites) => {
  expect(formatSites(sites)).toBe(text);
  expect(parseSites('here', text)).toEqual(sites);
});

it('sorts blocks, and keeps the branches of a block together', () => {
  expect(formatSites([branch(2, 'mlp'), branch(0, 'mlp')])).toBe('mlp:0,2');
  expect(parseSites('here', 'self:0-1 mlp:0-1')).toEqual([
    branch(0, 'self'),
    branch(0, 'mlp'),
    branch(1, 'self'),
    branch(1, 'mlp'),
  ]);
});

it.each(['all', '5-3', '-1', 'mlp:', 'mlp:3-1', 'attn:0', '0-99999', 'mlp:0-1e3', '1.5', 'MODEL'])(
  'refuses %s',
  (text) => {
    expect(() => parseSites('plan.json: step 3', text)).toThrow(FormatError);
    expect(() => parseSites('plan.json: step 3', text)).toThrow(/plan\.json: step 3: expected sites such as/);
  },
);
