import * as tf from '@tensorflow/tfjs-core';
import type { DiT } from '../../src/models/dit.ts';
import { DIT_BRANCHES } from '../../src/models/dit-config.ts';
import type { PixArt } from '../../src/models/pixart.ts';
import { PIXART_BRANCHES } from '../../src/models/pixart-config.ts';
import { gatherRows } from '../../src/ops/rows.ts';
import { captionDenoiser, classDenoiser } from '../../src/pipelines/guidance.ts';
import type { Subject } from './policy-run.ts';
import { loadTinyDiT } from './tiny-dit.ts';
import { forwardInputs, loadPixArt, readPixArtFixture } from './tiny-pixart.ts';

/** A model that must be freed. */
export interface LoadedSubject extends Subject {
  readonly dispose: () => void;
}

/** The tiny DiT, guided; a sample is a label. */
export async function ditSubject(): Promise<LoadedSubject> {
  const model: DiT = await loadTinyDiT('original');
  const { inputSize, inChannels, patchSize, hiddenSize, depth, numClasses } = model.config;
  return {
    depth,
    isRandom: true,
    branches: DIT_BRANCHES,
    latentShape: [inputSize, inputSize, inChannels],
    tokensPerRow: (inputSize / patchSize) ** 2 * hiddenSize,
    denoiserOf: (samples) => {
      const labels = samples.map((sample) => (3 * sample + 1) % numClasses);
      return classDenoiser(model, labels, { guidanceScale: 2, guidedChannels: 3 });
    },
    dispose: () => model.dispose(),
  };
}

/** The tiny PixArt, guided; samples take turns with the fixture's two captions. */
export async function pixArtSubject(): Promise<LoadedSubject> {
  const model: PixArt = await loadPixArt('tiny');
  const { x, embeds, mask } = forwardInputs(await readPixArtFixture('tiny'), 'original');
  const captions = model.projectCaption(embeds, mask);
  const { depth, inChannels, patchSize, hiddenSize } = model.config;
  const [, height, width] = x.shape;
  tf.dispose([x, embeds, mask]);
  return {
    depth,
    isRandom: true,
    branches: PIXART_BRANCHES,
    latentShape: [height, width, inChannels],
    tokensPerRow: ((height * width) / patchSize ** 2) * hiddenSize,
    denoiserOf: (samples) => async (latents, t, run, rows) => {
      const halves = [...samples.map(() => 0), ...samples.map((sample) => (sample + 1) % 2)];
      const caption = { tokens: gatherRows(captions.tokens, halves), bias: gatherRows(captions.bias, halves) };
      const guidance = { guidanceScale: 2, guidedChannels: inChannels };
      try {
        return await captionDenoiser(model, caption, guidance)(latents, t, run, rows);
      } finally {
        tf.dispose([caption.tokens, caption.bias]);
      }
    },
    dispose: () => {
      tf.dispose([captions.tokens, captions.bias]);
      model.dispose();
    },
  };
}
