import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sameShape } from '../../shape.ts';
import { activationCode } from './activations.ts';
import { type Call, checkShapes, given } from './kernel.ts';
import { type Components, componentsOf, type GpuBackend, release, runShader } from './shader.ts';
import { SUMMING, WORKGROUP_SUM } from './workgroup-sum.ts';

/** Elements that a workgroup takes the statistics of. */
const PART = 4096;

/** @returns mean and variance, [N,1,G,1], of x [N,H,W,C] */
export function groupMomentsKernel(call: Call): TensorInfo[] {
  const { backend } = call;
  const x = given(call, 'x');
  const [n = 0, height = 0, width = 0, channels = 0] = x.shape;
  const groups = call.attrs.numGroups as number;
  const fits = x.shape.length === 4 && channels % groups === 0;
  checkShapes('groupMoments', fits, 'x [N,H,W,C] with C a multiple of the number of groups', call);
  const pixels = height * width;
  const groupChannels = channels / groups;
  const partPixels = Math.max(1, Math.floor(PART / groupChannels));
  const sizes = { pixels, groups, groupChannels, partPixels, parts: Math.ceil(pixels / partPixels) };
  const parts = momentsOfParts(backend, x, n, sizes);
  const moments = ['mean', 'variance'].map((wanted) => mergeParts(backend, parts, n, sizes, wanted));
  release(backend, parts);
  return moments;
}

interface GroupSizes {
  readonly pixels: number;
  readonly groups: number;
  readonly groupChannels: number;
  readonly partPixels: number;
  readonly parts: number;
}

const MOMENTS_OF_PARTS = `
${WORKGROUP_SUM}
fn main() {
  let index = min(workgroupIndex(), uniforms.workgroups - 1);
  let group = (index / uniforms.parts) % uniforms.groups;
  let sample = index / (uniforms.parts * uniforms.groups);
  let firstPixel = (index % uniforms.parts) * uniforms.partPixels;
  let pixels = min(uniforms.partPixels, uniforms.pixels - firstPixel);
  let elements = pixels * uniforms.groupChannels;
  let channels = uniforms.groups * uniforms.groupChannels;
  let first = (sample * uniforms.pixels + firstPixel) * channels + group * uniforms.groupChannels;

  var sum = 0.0;
  for (var i = i32(localIndex); i < elements; i = i + ${SUMMING}) {
    sum = sum + x[first + (i / uniforms.groupChannels) * channels + i % uniforms.groupChannels];
  }
  let mean = workgroupSum(sum) / f32(elements);

  var squares = 0.0;
  for (var i = i32(localIndex); i < elements; i = i + ${SUMMING}) {
    let centred = x[first + (i / uniforms.groupChannels) * channels + i % uniforms.groupChannels] - mean;
    squares = squares + centred * centred;
  }
  let deviation = workgroupSum(squares);
  if (localIndex == 0u) {
    result[index] = vec2<f32>(mean, deviation);
  }
}`;

/** A workgroup for each part of a group's pixels: mean, and sum of squared deviations from it. @returns [N·G,parts,2] */
function momentsOfParts(backend: GpuBackend, x: TensorInfo, samples: number, sizes: GroupSizes): TensorInfo {
  const { pixels, groups, groupChannels, partPixels, parts } = sizes;
  const count = samples * groups * parts;
  return runShader(backend, {
    name: 'momentsOfParts',
    code: MOMENTS_OF_PARTS,
    inputs: { x: { tensor: x } },
    output: { shape: [samples * groups, parts, 2], components: 2 },
    uniforms: {
      workgroups: { i32: count },
      pixels: { i32: pixels },
      groups: { i32: groups },
      groupChannels: { i32: groupChannels },
      partPixels: { i32: partPixels },
      parts: { i32: parts },
    },
    workgroups: { count, invocations: SUMMING },
  });
}

/**
 * A workgroup a group: the statistics of the whole from those of the parts, deviations taken from means
 * (Chan, Golub & LeVeque 1979, eq. 2.1). @returns [N,1,G,1]
 */
function mergeParts(
  backend: GpuBackend,
  parts: TensorInfo,
  samples: number,
  sizes: GroupSizes,
  wanted: string,
): TensorInfo {
  const { pixels, groups, groupChannels, partPixels } = sizes;
  const count = samples * groups;
  return runShader(backend, {
    name: `mergeParts ${wanted}`,
    code: `
${WORKGROUP_SUM}
fn share(part : i32) -> f32 {
  let firstPixel = part * uniforms.partPixels;
  return f32(min(uniforms.partPixels, uniforms.pixels - firstPixel)) / f32(uniforms.pixels);
}
fn main() {
  let group = min(workgroupIndex(), uniforms.workgroups - 1);
  var weighted = 0.0;
  for (var i = i32(localIndex); i < uniforms.parts; i = i + ${SUMMING}) {
    weighted = weighted + share(i) * moments[group * uniforms.parts + i].x;
  }
  let mean = workgroupSum(weighted);

  var deviations = 0.0;
  for (var i = i32(localIndex); i < uniforms.parts; i = i + ${SUMMING}) {
    let moment = moments[group * uniforms.parts + i];
    let apart = moment.x - mean;
    deviations = deviations + moment.y / uniforms.count + share(i) * apart * apart;
  }
  let variance = workgroupSum(deviations);
  if (localIndex == 0u) {
    result[group] = ${wanted};
  }
}`,
    inputs: { moments: { tensor: parts, components: 2 } },
    output: { shape: [samples, 1, groups, 1] },
    uniforms: {
      workgroups: { i32: count },
      parts: { i32: sizes.parts },
      pixels: { i32: pixels },
      partPixels: { i32: partPixels },
      count: { f32: pixels * groupChannels },
    },
    workgroups: { count, invocations: SUMMING },
  });
}

/** (x − mean) ÷ √(variance + eps) · weight + bias, then SiLU where it is asked for. @returns [N,H,W,C] */
export function normaliseGroupsKernel(call: Call): TensorInfo {
  const [x, mean, variance] = [given(call, 'x'), given(call, 'mean'), given(call, 'variance')];
  const [weight, bias] = [given(call, 'weight'), given(call, 'bias')];
  const [n = 0, height = 0, width = 0, channels = 0] = x.shape;
  const groups = mean.shape[2] ?? 0;
  const moments = [mean, variance].every(({ shape }) => sameShape(shape, [n, 1, groups, 1]));
  const fits = x.shape.length === 4 && moments && channels % groups === 0;
  const parameters = [weight, bias].every(({ shape }) => sameShape(shape, [channels]));
  checkShapes(
    'normaliseGroups',
    fits && parameters,
    'x [N,H,W,C], mean and variance [N,1,G,1], weight and bias [C]',
    call,
  );
  const [components, silu] = [componentsOf(channels / groups), call.attrs.silu === true];
  return runShader(call.backend, {
    name: `normaliseGroups ${silu}`,
    code: normaliseCode(components, silu),
    inputs: {
      x: { tensor: x, components },
      mean: { tensor: mean },
      variance: { tensor: variance },
      weight: { tensor: weight, components },
      bias: { tensor: bias, components },
    },
    output: { shape: x.shape, components },
    uniforms: {
      sampleVectors: { i32: (height * width * channels) / components },
      pixelVectors: { i32: channels / components },
      groupVectors: { i32: channels / groups / components },
      groups: { i32: groups },
      eps: { f32: call.attrs.eps as number },
    },
  });
}

function normaliseCode(components: Components, silu: boolean): string {
  return `
${activationCode(components)}
fn main(index : i32) {
  if (index < uniforms.size) {
    let sample = index / uniforms.sampleVectors;
    let channel = index % uniforms.pixelVectors;
    let group = sample * uniforms.groups + channel / uniforms.groupVectors;
    let slope = inverseSqrt(variance[group] + uniforms.eps) * weight[channel];
    let normed = (x[index] - mean[group]) * slope + bias[channel];
    result[index] = ${silu ? 'silu(normed)' : 'normed'};
  }
}`;
}
