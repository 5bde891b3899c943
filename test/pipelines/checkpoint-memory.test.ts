import { join } from 'node:path';
import { openCheckpoint } from '../../converters/open-checkpoint.ts';
import { OptionError } from '../../src/errors.ts';
import { randomCheckpoint } from '../../src/lab/random-checkpoint.ts';
import { decoderMemory, ditMemory, pixArtMemory } from '../../src/models/memory.ts';
import { t5Memory } from '../../src/models/t5-memory.ts';
import { checkpointMemory } from '../../src/pipelines/checkpoint-memory.ts';
import { PARITY } from '../support/fixtures.ts';
import { PIXART } from '../support/tiny-pixart.ts';

describe('checkpointMemory', () => {
  it('counts transformer and decoder of a DiT', async () => {
    const checkpoint = await openCheckpoint(join(PARITY, 'dit-tiny-diffusers'));
    const memoryOf = await checkpointMemory(checkpoint);
    await checkpoint.close();
    if (checkpoint.pipeline !== 'DiTPipeline') throw new Error('is a PixArt');
    const { config } = checkpoint.transformer;
    const decoder = decoderMemory(checkpoint.vae.config, config.inputSize, config.inputSize);
    expect(memoryOf({ pictures: 3, guided: true })).toEqual([ditMemory(config, 6), decoder]);
    expect(memoryOf({ pictures: 3, guided: false })).toEqual([ditMemory(config, 3), decoder]);
  });

  it('counts the text encoder of a PixArt, and the size that is painted', async () => {
    const checkpoint = await openCheckpoint(join(PIXART, 'tiny-diffusers'));
    const memoryOf = await checkpointMemory(checkpoint);
    if (checkpoint.pipeline !== 'PixArtPipeline') throw new Error('is a DiT');
    const { config } = checkpoint.transformer;
    const { config: t5, close } = await checkpoint.openTextEncoder!();
    await Promise.all([close(), checkpoint.close()]);
    expect(memoryOf({ pictures: 2, guided: true, width: 64, height: 32 })).toEqual([
      pixArtMemory(config, 4, { height: 8, width: 16, captionLength: 120 }),
      decoderMemory(checkpoint.vae.config, 8, 16),
      t5Memory(t5, 4, 120),
    ]);
    expect(() => memoryOf({ pictures: 2, guided: true, width: 31 })).toThrow(OptionError);
    const mute = await checkpointMemory({ ...checkpoint, openTextEncoder: undefined });
    expect(mute({ pictures: 1, guided: false })).toHaveLength(2);
    const wordless = await checkpointMemory({ ...checkpoint, tokenizer: undefined });
    expect(wordless({ pictures: 1, guided: false })).toHaveLength(2); // a pipeline would not load it
  });

  it('takes the bin that is painted, not the size that is asked for', async () => {
    const memoryOf = await checkpointMemory(randomCheckpoint('PixArt-XL/2-512'));
    const asked = (width: number, height: number) => memoryOf({ pictures: 1, guided: true, width, height });
    expect(asked(2000, 2000)).toEqual(asked(512, 512));
    expect(asked(100, 200)).toEqual(asked(352, 704));
  });
});
