import type { KernelBackend } from '@tensorflow/tfjs-core';
import { attachDevice, deviceOf } from '../../device.ts';
import { DeviceError } from '../../errors.ts';

/** As much of tfjs's WebGPU backend as is used here. */
export interface WebGPUBackend extends KernelBackend {
  readonly device: GPUDevice;
  /** As tfjs keeps it, without a description. */
  readonly adapterInfo: object;
}

export function isWebGPUBackend(running: KernelBackend): running is WebGPUBackend {
  return 'device' in running && 'adapterInfo' in running;
}

const lostBackends = new WeakSet<KernelBackend>();

/** Whether the device of a backend is gone, and all tensors with it. */
export function isLost(running: KernelBackend): boolean {
  return lostBackends.has(running);
}

/**
 * Keeps what the backend's device tells on its own, so that the next read throws it: by default it goes to the console
 * and results are zeros. Once per backend.
 */
export function listenForFaults(running: WebGPUBackend): void {
  if (deviceOf(running)) return;
  const { device } = running;
  let first: DeviceError | undefined;
  let lost: DeviceError | undefined;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    first ??= faultError(event.error); // what follows it is of its making
  });
  void device.lost.then(({ message }) => {
    lost = lostError(message);
    lostBackends.add(running);
  });
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  attachDevice(running, {
    largestTensor: Math.min(maxBufferSize, maxStorageBufferBindingSize),
    takeFault: () => {
      const fault = lost ?? first;
      first = undefined;
      return fault;
    },
    settle: () => settle(device),
  });
}

/** A turn of the event loop, in which a device tells that it is lost. */
const TURN = 0;

/** Errors come in the order of the commands, so that all that belong to them are there when the queue is done. */
async function settle({ queue }: GPUDevice): Promise<void> {
  await queue.onSubmittedWorkDone().catch(() => {}); // where the device is lost, which it tells itself
  await new Promise((resolve) => setTimeout(resolve, TURN));
}

function faultError(error: GPUError): DeviceError {
  const kind = error.constructor.name;
  const said = error.message.trim().replace(/\s*\n\s*/g, ' ');
  if (kind === 'GPUOutOfMemoryError') {
    return new DeviceError(
      `The GPU has no memory left: ${said}. Make fewer pictures at once or smaller ones, close what else uses the GPU, ` +
        'or take another backend.',
    );
  }
  if (kind === 'GPUInternalError') {
    return new DeviceError(`The GPU's driver failed: ${said}. Update the driver, or take another backend.`);
  }
  return new DeviceError(
    `The GPU refused a command, so that its results mean nothing: ${said}. This is a bug of delta-dit, of tfjs, or of ` +
      'the driver: please report it with this text, and take another backend until then.',
  );
}

function lostError(message: string): DeviceError {
  const reason = message === '' ? '' : `: ${message.trim()}`;
  return new DeviceError(
    `The GPU is lost${reason}. All that was on it is gone: start the backend and load the model again, or take ` +
      'another backend.',
  );
}
