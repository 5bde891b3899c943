import * as tf from '@tensorflow/tfjs-core';
import { type CaptionRequest, captionsOf, disposeCaptions } from '../../src/pipelines/captions.ts';
import type { EncodedPrompts } from '../../src/pipelines/prompt-encoder.ts';
import { expectNoLeak } from '../support/memory.ts';

const LENGTH = 6;

/** A text encoder of width 1: each prompt becomes its own letters' codes, padded; `asked` says what it was given. */
function lettersEncoder() {
  const asked: (readonly string[])[] = [];
  const encode = async (prompts: readonly string[]): Promise<EncodedPrompts> => {
    asked.push(prompts);
    const codes = prompts.map((text) => Array.from({ length: LENGTH }, (_, i) => [text.charCodeAt(i) || -1]));
    const mask = prompts.map((text) => Array.from({ length: LENGTH }, (_, i) => (i <= text.length ? 1 : 0)));
    return {
      embeds: tf.tensor3d(codes),
      mask: tf.tensor2d(mask, undefined, 'int32'),
      prompts: prompts.map((text) => text.toUpperCase()),
      truncated: prompts.map(() => null),
      encoder: { name: 'letters', sha256: [] },
    };
  };
  return { asked, encode };
}

const NONE = { promptEmbeds: undefined, negativePromptEmbeds: undefined, negativePrompts: undefined };

async function read(request: CaptionRequest, guided: boolean, nullCaption?: tf.Tensor2D) {
  const { asked, encode } = lettersEncoder();
  const captions = await captionsOf(request, guided, { encode, nullCaption });
  const [rows, length] = captions.embeds.shape;
  const found = {
    asked,
    shape: [rows, length],
    embeds: Array.from(await captions.embeds.data()),
    mask: Array.from(await captions.mask.data()),
    prompts: captions.prompts,
    negativePrompts: captions.negativePrompts,
  };
  disposeCaptions(captions);
  return found;
}

const codesOf = (text: string, length: number) => Array.from({ length }, (_, i) => text.charCodeAt(i) || -1);

describe('captionsOf', () => {
  it('without guidance is the prompts, without the padding that all share', async () => {
    const found = await expectNoLeak(() => read({ ...NONE, prompts: ['ab', 'a'], n: 2 }, false));
    expect(found).toEqual({
      asked: [['ab', 'a']],
      shape: [2, 3],
      embeds: [...codesOf('ab', 3), ...codesOf('a', 3)],
      mask: [1, 1, 1, 1, 1, 0],
      prompts: ['AB', 'A'],
      negativePrompts: [],
    });
  });

  it('with guidance puts the empty prompt first, encoded once for all', async () => {
    const found = await expectNoLeak(() => read({ ...NONE, prompts: ['ab', 'a'], n: 2 }, true));
    expect(found.asked).toEqual([['ab', 'a', '']]);
    expect(found.shape).toEqual([4, 3]);
    expect(found.mask).toEqual([1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0]);
  });

  it('gives each prompt its negative one', async () => {
    const request = { ...NONE, prompts: ['a', 'b'], negativePrompts: ['xy', 'z'], n: 2 };
    const found = await expectNoLeak(() => read(request, true));
    expect(found.embeds).toEqual(['xy', 'z', 'a', 'b'].flatMap((text) => codesOf(text, 3)));
    expect(found.negativePrompts).toEqual(['XY', 'Z']);
  });

  it('puts the null caption under each prompt’s own mask', async () => {
    const nullCaption = tf.tensor2d([7, 7, 7, 8, 8, 8], [LENGTH, 1]);
    const found = await expectNoLeak(() => read({ ...NONE, prompts: ['abcd', 'a'], n: 2 }, true, nullCaption));
    expect(found.asked).toEqual([['abcd', 'a']]);
    expect(found.embeds.slice(0, 10)).toEqual([7, 7, 7, 8, 8, 7, 7, 7, 8, 8]);
    expect(found.mask).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    const negative = { ...NONE, prompts: ['a'], negativePrompts: ['z'], n: 1 };
    expect((await read(negative, true, nullCaption)).embeds).toEqual(['z', 'a'].flatMap((text) => codesOf(text, 2)));
    nullCaption.dispose();
  });
});
