import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenedCheckpoint } from '../../converters/open-checkpoint.ts';
import { deltaDiT } from '../../src/cache/policies/delta-dit.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { AbortError, BackendError, OptionError } from '../../src/errors.ts';
import { benchImage } from '../../src/lab/bench-image.ts';
import { type PaintedFloats, type PictureRival, torchPainter } from '../../src/lab/bench-torch.ts';
import { type ImageWorkload, imageWorkload, underDDIM } from '../../src/lab/image-workload.ts';
import { DiTPipeline } from '../../src/pipelines/dit-pipeline.ts';
import { PixArtPipeline } from '../../src/pipelines/pixart-pipeline.ts';
import { expectNoLeak } from '../support/memory.ts';
import { withTinyCheckpoint } from '../support/tiny-dit.ts';
import { withPixArtCheckpoint } from '../support/tiny-pixart.ts';

type Use<T> = (workload: ImageWorkload, pipe: DiTPipeline | PixArtPipeline) => Promise<T>;

async function withWorkload<T>(checkpoint: OpenedCheckpoint, subjects: readonly string[], use: Use<T>): Promise<T> {
  const pipe =
    checkpoint.pipeline === 'DiTPipeline'
      ? await DiTPipeline.fromCheckpoint(checkpoint)
      : await PixArtPipeline.fromCheckpoint(checkpoint);
  const workload = await imageWorkload(checkpoint, { pipe, subjects, numInferenceSteps: 4, guidanceScale: 2 });
  try {
    return await use(workload, pipe);
  } finally {
    workload.dispose();
    pipe.dispose();
  }
}

const withTinyDiT = <T>(use: Use<T>) =>
  withTinyCheckpoint((tiny) => withWorkload(underDDIM({ pipeline: 'DiTPipeline', ...tiny }), ['1', '0'], use));
const withTinyPixArt = <T>(use: Use<T>) =>
  withPixArtCheckpoint('tiny', (tiny) =>
    withWorkload(underDDIM({ pipeline: 'PixArtPipeline', ...tiny }), ['a red apple', 'a cat'], use),
  );
const MADE: [string, <T>(use: Use<T>) => Promise<T>][] = [
  ['a DiT', withTinyDiT],
  ['a PixArt', withTinyPixArt],
];

it.each(MADE)('paints what the pipeline of %s does, the same each time, and leaks nothing', async (_, withTiny) => {
  await expectNoLeak(() =>
    withTiny(async (workload, pipe) => {
      const [first, again] = [await workload.run({}), await workload.run({})];
      const { inputSize, inChannels } = pipe.transformer.config;
      expect(first.latents.shape).toEqual([2, inputSize, inputSize, inChannels]);
      const side = inputSize * pipe.vae.scale;
      expect(first.images.shape).toEqual([2, side, side, 3]);
      expect(again).toMatchObject({ latents: first.latents, images: first.images });
      expect(Math.min(first.sampling, first.decoding)).toBeGreaterThan(0);
      const cached = await workload.run({ cache: deltaDiT({ cachedBlocks: 1 }) });
      expect(cached.latents.values).not.toEqual(first.latents.values);

      const setting = { numInferenceSteps: 4, guidanceScale: 2, sampler: 'ddim', seed: 0 } as const;
      const { images } =
        pipe instanceof DiTPipeline
          ? await pipe.generateFloats({ ...setting, classLabels: ['1', '0'] })
          : await pipe.generateFloats({ ...setting, prompt: ['a red apple', 'a cat'] });
      const values = await Promise.all(images.map((image) => image.data()));
      for (const image of images) image.dispose();
      const painted = values.flatMap((one) => Array.from(one));
      const furthest = painted.reduce((most, v, i) => Math.max(most, Math.abs(v - (first.images.values[i] ?? 9))), 0);
      expect(furthest).toBeLessThan(1e-4);
    }),
  );
});

describe('benchImage', () => {
  const rival = (floats: PaintedFloats, changes: Partial<PictureRival> = {}): PictureRival => ({
    ...{ versions: 'fake', run: async () => ({ sampling: 3, decoding: 1 }), floats: async () => floats },
    ...{ end: () => {}, ...changes },
  });

  it('divides by PyTorch, stage by stage, uncached and cached', async () => {
    await withTinyDiT(async (workload) => {
      const ours = await workload.run({});
      const progress: string[] = [];
      const report = await benchImage(workload, {
        ...{ rounds: 2, cache: deltaDiT({ cachedBlocks: 1 }), rival: rival(ours) },
        onProgress: ({ what }) => progress.push(what),
      });
      expect(progress.map((what) => what.split(',')[0])).toEqual(
        ['uncached', 'cached', 'pytorch', 'cached', 'pytorch', 'uncached'], // each round begins with the next
      );
      const { uncached, cached, pytorch } = report;
      expect(pytorch).toMatchObject({ versions: 'fake', relativeL2: { latents: 0, images: 0 } });
      expect(pytorch?.seconds.picture).toMatchObject({ median: 4, spread: 0 });
      expect(pytorch?.ratio.uncached.sampling.min).toBe(uncached.seconds.sampling.min / 3);
      expect(pytorch?.ratio.cached?.picture.max).toBe((cached?.seconds.picture.max ?? 0) / 4);
      expect([cached?.name, cached?.rounds.length]).toEqual(['delta-dit', 2]);
      const alone = await benchImage(workload, { rounds: 1 });
      expect([alone.cached, alone.pytorch]).toEqual([null, null]);
    });
  });

  it('refuses another picture, no rounds, and stops when asked', async () => {
    await withTinyDiT(async (workload) => {
      const { latents, images } = await workload.run({});
      const doubled = { ...images, values: images.values.map((value) => 2 * value) };
      const other = benchImage(workload, { rounds: 1, rival: rival({ latents, images: doubled }) });
      await expect(other).rejects.toThrow(/^PyTorch makes another picture: the decoded pictures differ by 5\.0e-1$/);
      const turned = { ...latents, shape: [...latents.shape].reverse() };
      const shape = benchImage(workload, { rounds: 1, rival: rival({ latents: turned, images }) });
      await expect(shape).rejects.toThrow(BackendError);
      await expect(benchImage(workload, { rounds: 0 })).rejects.toThrow(OptionError);
      await expect(benchImage(workload, { rounds: 1, signal: AbortSignal.abort() })).rejects.toThrow(AbortError);
    });
  });
});

describe('torchPainter', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-painter-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  it('hands over models, noise and captions, and takes seconds and results', async () => {
    const script = join(scratch, 'child.cjs');
    writeFileSync(
      script,
      `console.log('{"ready": "fake"}');
       require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
         if (line === 'run') return console.log('{"ms": 6, "stages": {"latents": 5, "output": 1}}');
         const values = line.startsWith('latents ') ? [1, 2] : [3];
         require('node:fs').writeFileSync(line.replace(/^[a-z]+ /, ''), Buffer.from(new Float32Array(values).buffer));
         console.log(JSON.stringify({ shape: [values.length] }));
       });`,
    );
    await withTinyPixArt(async (workload, pipe) => {
      const painter = await torchPainter(workload, { python: process.execPath, script, threads: 1 }, scratch);
      expect(await painter.run()).toEqual({ sampling: 0.005, decoding: 0.001 });
      const { latents, images } = await painter.floats();
      expect([latents.shape, [...latents.values], [...images.values]]).toEqual([[2], [1, 2], [3]]);
      painter.end();
      const archive = await openSafetensors(await fileSource(join(scratch, 'case.safetensors')));
      expect(Object.fromEntries(archive.metadata)).toMatchObject({ task: 'image', model: 'pixart' });
      const config = JSON.parse(archive.metadata.get('config')!);
      expect(config).toMatchObject({ order: ['uncond', 'cond'], numInferenceSteps: 4, guidanceScale: 2 });
      expect(config.scheduler.clip_sample).toBe(false);
      const { tensors } = archive;
      expect(tensors.get('inputs.latents')?.shape[0]).toBe(2);
      expect(tensors.get('inputs.captions')?.shape[0]).toBe(4);
      expect(tensors.get('inputs.captions')!.shape[1]).toBeLessThan(120); // as the model sees them, without padding
      expect(tensors.has('vae.decoder.conv_in.kernel')).toBe(true);
      expect([...tensors.keys()].some((name) => name.includes('encoder.conv_in') || name.includes('y_embedding'))).toBe(
        false,
      );
      expect([...tensors.values()].every(({ dtype }) => dtype === 'F32')).toBe(true);
      expect(tensors.get('blocks.0.attn.qkv.kernel')?.shape[0]).toBe(pipe.transformer.config.hiddenSize);
      await archive.close();
    });
  });
});
