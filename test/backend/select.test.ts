import * as tf from '@tensorflow/tfjs-core';
import type { TfjsNodePackage } from '../../src/backend/native/tfjs-node-package.ts';
import { type BackendName, useBackend } from '../../src/backend/select.ts';
import { BackendError, OptionError } from '../../src/errors.ts';
import { pretendBrowser } from '../support/pretend-browser.ts';

const machine = {
  packages: [] as TfjsNodePackage[],
  hasNativePart: true,
  load: (_found: TfjsNodePackage): void => {},
  recipe: { recipe: {} } as object,
};
jest.mock('../../src/backend/native/tfjs-node-package.ts', () => ({
  findTfjsNode: () => machine.packages,
  hasNativePart: () => machine.hasNativePart,
  loadTfjsNode: (found: TfjsNodePackage) => machine.load(found),
}));
jest.mock('../../src/backend/native/setup-platform.ts', () => ({
  recipeForThisMachine: () => machine.recipe,
}));

const TFJS_NODE: TfjsNodePackage = {
  name: '@tensorflow/tfjs-node',
  folder: '/somewhere/tfjs-node',
  version: '4.22.0',
  addon: '/somewhere/tfjs-node/lib/napi-v8/tfjs_binding.node',
};

/** As much of tfjs-node's backend as the selection looks at. */
class PretendTensorFlow extends tf.KernelBackend {
  readonly binding = { TF_Version: '2.21.0' };

  constructor(readonly isUsingGpuDevice: boolean) {
    super();
  }

  override dispose(): void {}
}

function installTensorFlow({ gpu }: { gpu: boolean }): void {
  machine.packages = [TFJS_NODE];
  machine.load = () => {
    tf.registerBackend('tensorflow', () => new PretendTensorFlow(gpu));
  };
}

beforeEach(() => {
  Object.assign(machine, { packages: [], hasNativePart: true, load: () => {}, recipe: { recipe: {} } });
});

afterEach(() => {
  if (tf.findBackendFactory('tensorflow')) tf.removeBackend('tensorflow');
  tf.engine().reset();
});

describe('with nothing asked for', () => {
  it('takes wasm where there is no TensorFlow, and says what would be faster', async () => {
    const report = await useBackend();
    expect(report).toEqual({
      name: 'wasm',
      description: expect.stringMatching(/^WebAssembly( with SIMD)?, 1 thread$/),
      version: '4.22.0',
      gpu: false,
      dtypes: ['float32'],
      absent: [
        {
          name: 'tensorflow',
          reason: '@tensorflow/tfjs-node is not installed',
          command: 'node bin/delta-dit.mjs setup-native',
        },
      ],
    });
    expect(tf.getBackend()).toBe('wasm');
  });

  it('takes TensorFlow where it is there', async () => {
    installTensorFlow({ gpu: false });
    const report = await useBackend();
    expect(report).toMatchObject({ name: 'tensorflow', description: 'TensorFlow 2.21.0, CPU', version: '2.21.0' });
    expect(report.absent).toEqual([]);
  });

  it('goes on to wasm where TensorFlow cannot be loaded, and says why', async () => {
    installTensorFlow({ gpu: false });
    machine.load = () => {
      throw new Error('libtensorflow.so.2: cannot open shared object file');
    };
    const report = await useBackend();
    expect(report.name).toBe('wasm');
    expect(report.absent).toHaveLength(1);
    expect(report.absent[0]?.reason).toMatch(
      /cannot be loaded: libtensorflow\.so\.2.*Run `node bin\/delta-dit\.mjs setup-native`/,
    );
  });

  it('tries the next TensorFlow when the first cannot be loaded', async () => {
    machine.packages = [{ ...TFJS_NODE, name: '@tensorflow/tfjs-node-gpu' }, TFJS_NODE];
    machine.load = ({ name }) => {
      if (name.endsWith('gpu')) throw new Error('no CUDA');
      tf.registerBackend('tensorflow', () => new PretendTensorFlow(false));
    };
    expect((await useBackend()).name).toBe('tensorflow');
  });

  it('keeps a backend that the caller has started', async () => {
    installTensorFlow({ gpu: false });
    await useBackend('cpu');
    expect(await useBackend()).toMatchObject({ name: 'cpu', absent: [] });
  });

  it('keeps and describes a backend that it does not know', async () => {
    tf.registerBackend('of-the-caller', () => new PretendTensorFlow(false));
    await tf.setBackend('of-the-caller');
    const report = await useBackend();
    expect(report).toMatchObject({ name: 'of-the-caller', description: 'of-the-caller, started by the caller' });
    tf.removeBackend('of-the-caller');
  });
});

describe('an absent TensorFlow that is asked for', () => {
  it('is an error that names the set-up where there is one for the machine', async () => {
    await expect(useBackend('tensorflow')).rejects.toThrow(
      'The backend tensorflow is not there: @tensorflow/tfjs-node is not installed. Run `node bin/delta-dit.mjs setup-native`.',
    );
  });

  it('is an error that names the prebuilt package elsewhere', async () => {
    machine.recipe = { refusal: 'macOS' };
    await expect(useBackend('tensorflow')).rejects.toThrow('Run `npm install @tensorflow/tfjs-node@4.22.0`.');
  });

  it('tells an installed package without its native part from no package', async () => {
    machine.packages = [TFJS_NODE];
    machine.hasNativePart = false;
    await expect(useBackend('tensorflow')).rejects.toThrow(/in \/somewhere\/tfjs-node has no native part yet/);
    machine.recipe = { refusal: 'macOS' };
    await expect(useBackend('tensorflow')).rejects.toThrow('Run `npm rebuild @tensorflow/tfjs-node`.');
  });

  it('has no command to offer in a browser', async () => {
    const restore = pretendBrowser({});
    try {
      await expect(useBackend('tensorflow')).rejects.toThrow(
        /^The backend tensorflow is not there: it runs in Node only\.$/,
      );
    } finally {
      restore();
    }
  });

  it('leaves no backend started', async () => {
    await expect(useBackend('tensorflow')).rejects.toThrow(BackendError);
    expect(tf.getBackend()).toBeFalsy();
  });
});

describe('a GPU that is asked for', () => {
  it('is refused where TensorFlow lists none', async () => {
    installTensorFlow({ gpu: false });
    const asked = useBackend(undefined, { gpu: true });
    await expect(asked).rejects.toThrow(BackendError);
    await expect(asked).rejects.toThrow(/A GPU was asked for, but there is none for TensorFlow 2\.21\.0, CPU:/);
  });

  it('is refused also where TensorFlow was started before', async () => {
    installTensorFlow({ gpu: false });
    await useBackend();
    await expect(useBackend('tensorflow', { gpu: true })).rejects.toThrow(/there is none/);
  });

  it('is refused where there is no TensorFlow, instead of taking wasm', async () => {
    await expect(useBackend(undefined, { gpu: true })).rejects.toThrow(/The backend tensorflow is not there/);
  });

  it('is reported where TensorFlow lists one', async () => {
    installTensorFlow({ gpu: true });
    expect(await useBackend('tensorflow', { gpu: true })).toMatchObject({
      description: 'TensorFlow 2.21.0, GPU',
      gpu: true,
    });
  });

  it('does not go with another backend', async () => {
    await expect(useBackend('wasm', { gpu: true })).rejects.toThrow(OptionError);
  });
});

it('refuses a name that it does not know, with the list', async () => {
  await expect(useBackend('cuda' as BackendName)).rejects.toThrow(
    'Backend: expected one of tensorflow, webgpu, wasm, cpu, got cuda.',
  );
});

it('switches between backends', async () => {
  await useBackend('wasm');
  await useBackend('cpu');
  expect(tf.getBackend()).toBe('cpu');
  await useBackend('wasm');
  expect(tf.getBackend()).toBe('wasm');
});

describe('what a backend leaves behind', () => {
  it('is no tensor and no greeting from cpu', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation();
    await useBackend('cpu');
    expect(tf.memory().numTensors).toBe(0);
    tf.dispose(tf.scalar(1));
    expect(warn).not.toHaveBeenCalled();
    expect(tf.env().getBool('PROD')).toBe(false);
    warn.mockRestore();
  });

  it("is no listener for other people's errors from wasm", async () => {
    const count = () => process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection');
    const before = count();
    await useBackend('wasm');
    expect(count()).toBe(before);
  });
});
