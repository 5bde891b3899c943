import { OptionError } from '../errors.ts';
import type { Painter } from '../pipelines/painter.ts';
import type { DiTRunDescription, PixArtRunDescription, RunDescription } from '../pipelines/report.ts';

/** A class of a DiT, or a prompt for a PixArt. */
export type SubjectKind = 'class' | 'prompt';

/** "1 class", "2 prompts": how many of the subjects differ. */
export function countSubjects(subjects: readonly string[], kind: SubjectKind): string {
  const count = new Set(subjects).size;
  const [one, more] = kind === 'class' ? ['class', 'classes'] : ['prompt', 'prompts'];
  return `${count} ${count === 1 ? one : more}`;
}

/** What a report says of the runs behind it. */
export interface ReportedRun
  extends Pick<RunDescription, 'model' | 'backend' | 'numerics' | 'sampler' | 'guidanceScale'> {
  /** What the pictures are of. */
  readonly subjectKind: SubjectKind;
  /** Of a PixArt, in pixels. */
  readonly width?: number;
  readonly height?: number;
  /** Of a PixArt under guidance, each text once. */
  readonly negativePrompts?: readonly string[];
  /** Ends of prompts that the text encoder does not see. */
  readonly truncated?: readonly string[];
}

export function reportedRun(described: DiTRunDescription | PixArtRunDescription): ReportedRun {
  const { model, backend, numerics, sampler, guidanceScale } = described;
  const setting = { model, backend, numerics, sampler, guidanceScale };
  if (!('prompts' in described)) return { ...setting, subjectKind: 'class' };
  const { width, height } = described;
  const negativePrompts = [...new Set(described.negativePrompts)];
  const truncated = described.truncated.filter((end) => end !== null);
  return { ...setting, subjectKind: 'prompt', width, height, negativePrompts, truncated };
}

/**
 * What `count` pictures are of: the subjects in turn.
 * @param given default: all that there are
 * @throws OptionError when there are none
 */
export function subjectsInTurn(painter: Painter, given: readonly string[] | undefined, count: number): string[] {
  const subjects = given ?? painter.allSubjects;
  if (subjects.length === 0)
    throw new OptionError('subjects: expected at least one class of a DiT or prompt for a PixArt, got none');
  return Array.from({ length: count }, (_, i) => subjects[i % subjects.length] ?? '');
}

interface PreparedRuns {
  readonly guidanceScale?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly what: string }) => void) | undefined;
}

/** Encodes prompts ahead of runs that are measured. */
export function prepareSubjects(
  painter: Painter,
  subjects: readonly string[],
  { guidanceScale, signal, onProgress }: PreparedRuns,
): Promise<void> {
  return painter.prepare(subjects, {
    guidanceScale,
    signal,
    onLayer: ({ layer, layers }) => onProgress?.({ done: 0, what: `text encoder, layer ${layer + 1} of ${layers}` }),
  });
}
