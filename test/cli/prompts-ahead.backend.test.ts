import * as tf from '@tensorflow/tfjs-core';
import { PromptsAhead } from '../../src/cli/prompts-ahead.ts';
import type { PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { expectNoLeak } from '../support/memory.ts';

/** A pipeline that only tells what it was asked to encode. */
function listening() {
  const passes: (readonly string[])[] = [];
  const pipe = {
    encodePrompts: async (prompts: readonly string[]) => {
      passes.push(prompts);
      return { embeds: tf.zeros([prompts.length, 2, 1]), mask: tf.ones([prompts.length, 2], 'int32'), prompts };
    },
    keepPrompts: async () => {},
  };
  return { passes, pipe: pipe as unknown as PixArtPipeline };
}

const PROMPTS = Array.from({ length: 300 }, (_, i) => `prompt ${i}`);
const QUIET = { quiet: true, signal: new AbortController().signal };

describe('PromptsAhead', () => {
  it('encodes 128 prompts a pass, and the negative one with them', async () => {
    const { passes, pipe } = listening();
    const ahead = new PromptsAhead(pipe, PROMPTS, QUIET);
    await expectNoLeak(async () => {
      for (let first = 0; first < 300; first += 8) await ahead.reach(first, Math.min(first + 8, 300), 'snow');
    });
    expect(passes.map((texts) => texts.length)).toEqual([129, 129, 45]);
    for (const texts of passes) expect(texts.at(-1)).toBe('snow');
  });

  it('has all prompts of a batch in one pass, also of one that a pass would cut', async () => {
    const { passes, pipe } = listening();
    const ahead = new PromptsAhead(pipe, PROMPTS, QUIET);
    await ahead.reach(0, 100, undefined);
    await ahead.reach(100, 200, undefined);
    expect(passes.map((texts) => [texts[0], texts.at(-1)])).toEqual([
      ['prompt 0', 'prompt 127'],
      ['prompt 100', 'prompt 227'],
    ]);
  });

  it('encodes a prompt of several seeds once', async () => {
    const { passes, pipe } = listening();
    const ahead = new PromptsAhead(pipe, ['a', 'a', 'a', 'b'], QUIET);
    await ahead.reach(0, 4, undefined);
    expect(passes).toEqual([['a', 'b']]);
  });
});
