import { env, scalar } from '@tensorflow/tfjs-core';
import { type Backend, makeCurrent, TFJS_VERSION } from './backend.ts';

export const CPU_DESCRIPTION = 'plain JavaScript (slow)';

/** Plain JavaScript: runs everywhere, hundreds of times slower than the others. */
export const cpu: Backend = {
  name: 'cpu',
  findAbsence: async () => undefined,
  start: async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    await makeCurrent('cpu');
    spendGreeting();
  },
  describe: async () => ({ description: CPU_DESCRIPTION, version: TFJS_VERSION, gpu: false }),
};

/** The first tensor written prints an advertisement for tfjs-node, except in production mode. */
function spendGreeting(): void {
  const production = env().getBool('PROD');
  env().set('PROD', true);
  scalar(0).dispose();
  env().set('PROD', production);
}
