import { BackendError } from '../../errors.ts';
import type { Backend } from './backend.ts';

const REASON = 'it runs in Node only';

/** The place of native TensorFlow in a browser. */
export const tensorflow: Backend = {
  name: 'tensorflow',
  findAbsence: async () => ({ name: 'tensorflow', reason: REASON }),
  start: async () => {
    throw new BackendError(`The backend tensorflow is not there: ${REASON}.`);
  },
  describe: async () => ({ description: 'TensorFlow', version: '', gpu: false }),
};
