import * as tf from '@tensorflow/tfjs-core';
import { unchecked } from '../unchecked.ts';
import { relativeL2 } from './compare.ts';
import { composed, fusedAddon, fusedKernels, INSTRUCTION_SETS, instructionSets } from './fused.ts';
import { expectNoLeak } from './memory.ts';

const TOLERANCE = 1e-5;
let present: readonly string[] = [];

/**
 * Declares the tests of kernels of ours once for each instruction set that they are written for.
 * @param tests is told whether this processor has the instructions; what it lacks is noted once
 */
export function byEachInstructionSet(tests: (isThere: () => boolean) => void): void {
  const backend: string = globalThis.DELTA_DIT_BACKEND;
  if (backend !== 'tensorflow') {
    const there = backend === 'webgpu'; // test/backend/webgpu has tests of theirs
    it(`has ${there ? '' : 'no '}kernels of ours on this backend`, () => {
      expect(fusedKernels().length > 0).toBe(there);
    });
    return;
  }
  beforeAll(() => {
    if (fusedKernels().length === 0) return unchecked('the fused ops: `npm run setup-native` says what they need');
    const sets = instructionSets();
    present = sets.present;
    for (const name of sets.absent) unchecked(`the fused ops by ${name}: this processor lacks it`);
  });

  describe.each(INSTRUCTION_SETS)('by %s, the composition and', (name) => {
    let before = '';
    beforeAll(() => {
      if (!present.includes(name)) return;
      before = fusedAddon().instructions();
      fusedAddon().instructions(name);
    });
    afterAll(() => {
      if (present.includes(name)) fusedAddon().instructions(before);
    });
    tests(() => present.includes(name));
  });
}

/**
 * Expects `op` to give what its composition gives, the same seat on a backend without kernels of ours; to hold one more
 * tensor, and to leave nothing else.
 */
export async function expectAgreement(
  op: () => tf.Tensor,
  tolerance = TOLERANCE,
  composition: () => tf.Tensor = op,
): Promise<void> {
  const want = composed(composition);
  await expectNoLeak(async () => {
    const before = tf.memory().numTensors;
    const got = op();
    expect(tf.memory().numTensors).toBe(before + 1);
    const error = await relativeL2(got, want);
    got.dispose();
    expect(error).toBeLessThanOrEqual(tolerance);
  });
  want.dispose();
}
