import { BackendError } from '../../errors.ts';

/** What our kernels and tfjs's can make use of, where the adapter has it. */
const FEATURES = ['timestamp-query', 'shader-f16', 'subgroups'] as const;

/** A device gets no more than the least that WebGPU guarantees unless it is asked for. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

export interface OpenedAdapter {
  readonly device: GPUDevice;
  readonly info: GPUAdapterInfo;
}

/**
 * The adapter that the system calls the fastest, and a device of it with all that it can do.
 * @param advice what to do where there is none
 * @throws BackendError where there is none, or it gives no device.
 */
export async function openAdapter(gpu: GPU, advice: string): Promise<OpenedAdapter> {
  const adapter = await requestAdapter(gpu);
  if (!adapter) throw new BackendError(`WebGPU finds no adapter: no GPU, or no driver that it can use. ${advice}`);
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const requiredFeatures = FEATURES.filter((name) => adapter.features.has(name));
  try {
    return { device: await adapter.requestDevice({ requiredFeatures, requiredLimits }), info: adapter.info };
  } catch (error) {
    throw new BackendError(`WebGPU's adapter ${nameOf(adapter.info)} gives no device: ${String(error)}`, {
      cause: error,
    });
  }
}

async function requestAdapter(gpu: GPU): Promise<GPUAdapter | null> {
  try {
    return await gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    // Dawn's, of an option; it lists what there is
    const reason = String(error)
      .replace(/^Error: /, '')
      .replaceAll('\n', ' ');
    throw new BackendError(
      `WebGPU finds no adapter: ${reason}. Correct the option \`dawn\` or the variable DELTA_DIT_DAWN.`,
      { cause: error },
    );
  }
}

/** Drivers that compute on the CPU; browsers may leave `isFallbackAdapter` out. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render/i;

/** Whether the adapter is a driver that computes on the CPU. */
export function isSoftware({ vendor, architecture, device, description, isFallbackAdapter }: GPUAdapterInfo): boolean {
  return isFallbackAdapter || SOFTWARE.test([vendor, architecture, device, description].join(' '));
}

/** For people: "NVIDIA H100 80GB HBM3, NVIDIA 550.54.15", as far as the adapter says; browsers say "nvidia hopper". */
export function nameOf(info: GPUAdapterInfo): string {
  const { vendor, architecture, device, description } = info;
  const family = [vendor, architecture].filter((part) => part !== '').join(' ');
  // the device of a software driver is a name for a compiler in it
  const parts = isSoftware(info) ? [description || family] : [device || family, description];
  const said = parts.filter((part) => part !== '').join(', ');
  return said === '' ? 'an adapter without a name' : said;
}

/** "WebGPU, SwiftShader driver 5.0.0, software". */
export function describeAdapter(info: GPUAdapterInfo): string {
  return ['WebGPU', nameOf(info), ...(isSoftware(info) ? ['software'] : [])].join(', ');
}
