import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { analyseDeltas, type BenchProgress, deltaFigure, type LabMethod, type Painter } from '../index.ts';
import { analysisJson } from './delta-report.ts';
import { slug } from './lab-folder.ts';
import { writeWhole } from './pictures.ts';

/** Pictures whose residuals are measured; means over more change little. */
const PICTURES = 16;

export interface LabDeltaOptions {
  /** What the cache methods change. */
  readonly compared: LabMethod;
  /** One a picture. */
  readonly subjects: readonly string[];
  readonly guidanceScale: number;
  readonly batchSize: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BenchProgress) => void;
}

/**
 * Norms, cosines and changes of the blocks' residuals in the uncached run, as JSON and a figure that bear the run's
 * name; of the first pictures, measured once a folder.
 * @returns the figure's name
 */
export async function measureLabDeltas(painter: Painter, out: string, options: LabDeltaOptions): Promise<string> {
  const { compared, subjects, guidanceScale, batchSize, signal, onProgress } = options;
  const name = `deltas-${slug(compared.name)}`;
  const figure = `${name}.svg`;
  const isThere = await access(join(out, figure)).then(
    () => true,
    () => false,
  );
  if (isThere) return figure;
  const pictures = subjects.slice(0, PICTURES).map((subject, seed) => ({ subject, seed }));
  const { sampler, numInferenceSteps } = compared;
  const analysis = await analyseDeltas(painter, {
    ...{ pictures, sampler, numInferenceSteps, guidanceScale, batchSize, signal },
    onProgress: ({ done, what }) => onProgress({ done, what: `residuals, ${what}` }),
  });
  await writeWhole(join(out, `${name}.json`), Buffer.from(analysisJson(painter, analysis)));
  await writeWhole(join(out, figure), Buffer.from(deltaFigure(analysis)));
  return figure;
}
