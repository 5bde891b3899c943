import { OptionError, type Painter, randomCheckpoint, randomPainter } from '../index.ts';
import { type LabSubjectOptions, type LabSubjects, labSubjects } from './lab-subjects.ts';
import { checkMemory, type MemoryRequest, memoryLimits, weightCopies } from './memory-check.ts';
import { startBackend } from './model-options.ts';
import { openPainter } from './open-painter.ts';

export interface BenchedOptions extends LabSubjectOptions {
  readonly cfgScale?: number;
  readonly guidanceScale?: number;
  readonly batchSize: number;
}

export interface Benched extends LabSubjects {
  readonly painter: Painter;
}

/** @param size instead of a model: random weights of that size */
export async function openBenched(options: BenchedOptions, size?: string): Promise<Benched> {
  const { batchSize, width, height, dtype } = options;
  if (batchSize < 1) throw new OptionError(`--batch-size: expected at least 1, got ${batchSize}`);
  const request = { pictures: batchSize, guided: (guidanceOf(options) ?? 2) > 1, width, height, dtype };
  const named = await labSubjects(options);
  const painter =
    size === undefined ? await openPainter(options, named.kind, request) : await openRandom(size, options, request);
  return { ...named, painter };
}

async function openRandom(size: string, options: BenchedOptions, request: MemoryRequest): Promise<Painter> {
  const checkpoint = randomCheckpoint(size);
  const { width, height } = options;
  if (checkpoint.pipeline === 'DiTPipeline' && (width ?? height) !== undefined)
    throw new OptionError(`--width and --height: ${size} paints one size; leave them out`);
  const backend = await startBackend(options);
  if (!options.forceMemory) await checkMemory(checkpoint, request, memoryLimits(backend), weightCopies(backend));
  return randomPainter(checkpoint, options, { width, height });
}

export function guidanceOf({
  cfgScale,
  guidanceScale,
}: Pick<BenchedOptions, 'cfgScale' | 'guidanceScale'>): number | undefined {
  return cfgScale ?? guidanceScale;
}
