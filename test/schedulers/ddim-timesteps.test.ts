import { OptionError } from '../../src/errors.ts';
import { DDIM_DEFAULTS, DDIMSampler } from '../../src/schedulers/ddim.ts';
import { readDDIMReference } from '../support/ddim-reference.ts';

const { timesteps } = readDDIMReference();
const SPACINGS = ['leading', 'linspace', 'trailing'] as const;
const cases = SPACINGS.flatMap((spacing) =>
  Object.entries(timesteps[spacing]).map(([steps, want]) => ({ spacing, steps: Number(steps), want })),
);

describe('DDIM timesteps', () => {
  it.each(cases)("$spacing, $steps steps, equal diffusers'", ({ spacing, steps, want }) => {
    expect(new DDIMSampler(steps, { ...DDIM_DEFAULTS, timestepSpacing: spacing }).timesteps).toEqual(want);
  });

  it('refuses steps out of range', () => {
    expect(() => new DDIMSampler(0)).toThrow(OptionError);
    expect(() => new DDIMSampler(1001)).toThrow(OptionError);
    expect(() => new DDIMSampler(501, { ...DDIM_DEFAULTS, numTrainTimesteps: 500 })).toThrow('from 1 to 500, got 501');
  });

  it('refuses an offset that leads past the last training step', () => {
    const offset = { ...DDIM_DEFAULTS, stepsOffset: 1 };
    expect(new DDIMSampler(500, offset).timesteps[0]).toBe(999);
    expect(() => new DDIMSampler(1000, offset)).toThrow(OptionError);
    expect(() => new DDIMSampler(1000, offset)).toThrow(/steps_offset/);
  });
});
