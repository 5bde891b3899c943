import * as tf from '@tensorflow/tfjs-core';
import type { BlockRunner } from '../models/block.ts';
import type { DiT } from '../models/dit.ts';
import type { MicroConditions, PixArt } from '../models/pixart.ts';
import type { PixArtCaption } from '../models/pixart-block.ts';
import { gatherRows } from '../ops/rows.ts';
import type { ModelOutput, Timestep } from '../schedulers/sampler.ts';

/**
 * A model as samplers see it: noisy latents and a timestep to guided ε and variance logits. `run` is this step's block
 * runner; `rows` says which samples of the run `x` holds, all where it is left out.
 */
export type Denoiser = (
  x: tf.Tensor4D,
  t: Timestep,
  run: BlockRunner,
  rows?: readonly number[],
) => Promise<ModelOutput>;

export interface GuidanceOptions {
  /** s of ε_null + s·(ε_cond − ε_null). At most 1: no guidance, the model runs on one half. */
  readonly guidanceScale: number;
  /**
   * Channels of ε that are guided; the others keep the conditional half's own.
   * 3: facebookresearch/DiT models.py forward_with_cfg. 4, all: diffusers DiTPipeline.
   */
  readonly guidedChannels: number;
}

/** Which half of a guided batch comes first: the conditional one in both DiTs, the other in diffusers' PixArt pipelines. */
type BatchOrder = 'cond-first' | 'uncond-first';

/** Classifier-free guidance around a DiT, batch order [cond, null] as in both implementations. */
export function classDenoiser(model: DiT, classLabels: readonly number[], options: GuidanceOptions): Denoiser {
  const { inChannels, numClasses } = model.config;
  const labelsOf = (rows?: readonly number[]) => rows?.map((row) => classLabels[row] as number) ?? classLabels;
  if (options.guidanceScale <= 1) {
    return async (x, t, run, rows) => {
      const labels = labelsOf(rows);
      const out = await model.predict(x, Array(labels.length).fill(t), labels, run); // [N,H,W,C']
      return plainOutput(out, inChannels);
    };
  }
  return async (x, t, run, rows) => {
    const given = labelsOf(rows);
    const n = given.length;
    const labels = [...given, ...Array<number>(n).fill(numClasses)];
    const doubled = tf.concat([x, x], 0); // [2N,H,W,C]
    try {
      const out = await model.predict(doubled, Array(2 * n).fill(t), labels, run); // [2N,H,W,C']
      return guide(out, inChannels, { ...options, order: 'cond-first' });
    } finally {
      doubled.dispose();
    }
  };
}

export interface CaptionGuidance extends GuidanceOptions {
  /** For models with micro-conditions. */
  readonly size?: MicroConditions | undefined;
}

/**
 * Classifier-free guidance around a PixArt.
 * @param caption of both halves [uncond, cond], 2N, as diffusers' pipelines and the original's DPM-Solver have them;
 * without guidance of the N prompts alone. Borrowed.
 */
export function captionDenoiser(model: PixArt, caption: PixArtCaption, options: CaptionGuidance): Denoiser {
  const { inChannels } = model.config;
  const { size, guidanceScale } = options;
  return async (x, t, run, rows) => {
    const own = rows ? captionRows(caption, rows, guidanceScale > 1 ? 2 : 1) : caption;
    const n = own.tokens.shape[0];
    const input = guidanceScale > 1 ? tf.concat([x, x], 0) : x.clone(); // [2N,h,w,C] or [N,h,w,C]
    try {
      const out = await model.predict(input, Array<number>(n).fill(t), own, { size, run }); // [.,h,w,2·C]
      return guidanceScale > 1
        ? guide(out, inChannels, { ...options, order: 'uncond-first' })
        : plainOutput(out, inChannels);
    } finally {
      input.dispose();
      if (rows) tf.dispose([own.tokens, own.bias]);
    }
  };
}

/** The captions of some samples, of each guidance half. */
function captionRows({ tokens, bias }: PixArtCaption, rows: readonly number[], halves: number): PixArtCaption {
  const samples = tokens.shape[0] / halves;
  const places = Array.from({ length: halves }, (_, half) => rows.map((row) => half * samples + row)).flat();
  return { tokens: gatherRows(tokens, places), bias: gatherRows(bias, places) };
}

/** ε, and the variance logits where the model learns them. @param out [N,H,W,C'], consumed */
function plainOutput(out: tf.Tensor4D, channels: number): ModelOutput {
  const eps = tf.slice(out, [0, 0, 0, 0], [-1, -1, -1, channels]);
  const variance = varianceOf(out, channels, out.shape[0]);
  out.dispose();
  return { eps, variance };
}

/** @param out both halves [2N,H,W,C'], consumed */
function guide(
  out: tf.Tensor4D,
  channels: number,
  { guidanceScale, guidedChannels, order }: GuidanceOptions & { readonly order: BatchOrder },
): ModelOutput {
  const condFirst = order === 'cond-first';
  const eps = tf.tidy(() => {
    const halves = tf.split(out, 2, 0) as [tf.Tensor4D, tf.Tensor4D]; // [N,H,W,C']
    const [cond, uncond] = condFirst ? halves : [halves[1], halves[0]];
    const guided = (half: tf.Tensor4D) => tf.slice(half, [0, 0, 0, 0], [-1, -1, -1, guidedChannels]);
    const [c, u] = [guided(cond), guided(uncond)];
    const mixed = tf.add(u, tf.mul(tf.sub(c, u), guidanceScale)) as tf.Tensor4D;
    if (guidedChannels === channels) return mixed; // [N,H,W,C]
    const own = tf.slice(cond, [0, 0, 0, guidedChannels], [-1, -1, -1, channels - guidedChannels]);
    return tf.concat([mixed, own], 3); // [N,H,W,C]
  });
  const n = out.shape[0] / 2;
  const variance = varianceOf(out, channels, n, condFirst ? 0 : n);
  out.dispose();
  return { eps, variance };
}

/** Of n samples: with guidance the conditional half, whose latents are the ones that are kept. */
function varianceOf(out: tf.Tensor4D, channels: number, n: number, from = 0): tf.Tensor4D | undefined {
  if (out.shape[3] === channels) return undefined;
  return tf.slice(out, [from, 0, 0, channels], [n, -1, -1, channels]);
}
