import {
  backend,
  type DataType,
  type DataTypeMap,
  engine,
  type KernelBackend,
  type NumericDataType,
  type Tensor,
} from '@tensorflow/tfjs-core';
import { BackendError, DeviceError } from './errors.ts';
import { elementCount, type Shape } from './shape.ts';

/**
 * A device that a backend computes on and that fails on its own: what goes wrong there is told some time after the call
 * that caused it, and the tensors of such a call hold zeros. So it is asked wherever values are read.
 */
export interface Device {
  /** The largest tensor that it can hold, in bytes. */
  readonly largestTensor: number;
  /** The first that it has told of since the last call. A device that is lost tells so each time. */
  takeFault(): DeviceError | undefined;
  /** Waits until it has done what was asked of it, and until all that went wrong in it has been told. */
  settle(): Promise<void>;
}

const devices = new WeakMap<KernelBackend, Device>();

/** Called by the backend's own start; a backend without such a device needs none. */
export function attachDevice(running: KernelBackend, device: Device): void {
  devices.set(running, device);
}

/** Of a backend, where it has one. */
export function deviceOf(running: KernelBackend): Device | undefined {
  return devices.get(running);
}

function currentDevice(): Device | undefined {
  return engine().backendName ? deviceOf(backend()) : undefined;
}

/** Waits for the device. @throws DeviceError when something went wrong in what was asked of it. */
export async function settleDevice(): Promise<void> {
  const device = currentDevice();
  if (!device) return;
  await device.settle();
  const fault = device.takeFault();
  if (fault) throw fault;
}

/**
 * A tensor's values, when the device has computed them: the only way in which this library reads them.
 * @throws DeviceError when something went wrong in the device, so that they would mean nothing.
 */
export async function readTensor<D extends DataType = NumericDataType>(tensor: Tensor): Promise<DataTypeMap[D]> {
  const device = currentDevice();
  if (!device) return tensor.data<D>();
  try {
    const values = await tensor.data<D>();
    const fault = device.takeFault();
    if (fault) throw fault;
    return values;
  } catch (error) {
    await device.settle();
    const fault = device.takeFault(); // why nothing could be read, or what the first one has led to
    throw error instanceof DeviceError ? error : (fault ?? error);
  }
}

/** @throws BackendError when one of the tensors is larger than what the device can hold. Reads nothing. */
export function assertTensorsFit(where: string, shapes: ReadonlyMap<string, Shape>): void {
  const limit = currentDevice()?.largestTensor ?? Number.POSITIVE_INFINITY;
  const bytesOf = (shape: Shape) => elementCount(shape) * Float32Array.BYTES_PER_ELEMENT;
  const [largest] = [...shapes].sort(([, a], [, b]) => bytesOf(b) - bytesOf(a));
  if (!largest || bytesOf(largest[1]) <= limit) return;
  const [name, shape] = largest;
  throw new BackendError(
    `${where}: ${name} [${shape.join(', ')}] takes ${megabytes(bytesOf(shape))}, and one buffer of this GPU holds ` +
      `${megabytes(limit)} at most. Take another backend, another GPU, or a smaller model.`,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
