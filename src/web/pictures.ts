import { type CachePolicy, type Painter, type PixelImage, planCells, psnr, type StepEvent } from '../index.ts';
import type { CacheChoice } from './cache-methods.ts';
import { decidedColumn, policyOf } from './cache-policies.ts';
import type { BlockMap, PictureDone, RunName, RunRequest, Tell } from './messages.ts';
import { pictureFile, type Report } from './picture-file.ts';

/** Makes what is asked for: one picture, or the same without and with the cache, and how they compare. */
export async function makePictures(
  painter: Painter,
  request: RunRequest,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  const policy = request.cache ? policyOf(request.cache) : undefined;
  const runs: readonly RunName[] = !policy ? ['uncached'] : request.compare ? ['uncached', 'cached'] : ['cached'];
  await warmUp(painter, request, tell, signal);
  const made: Made[] = [];
  for (const run of runs)
    made.push(await oneRun(painter, request, run, run === 'cached' ? policy : undefined, tell, signal));
  const [uncached, cached] = made;
  if (uncached && cached) tell({ kind: 'compared', ...comparison(uncached, cached) });
}

interface Made {
  readonly picture: PixelImage;
  readonly report: Report;
}

/** One step that is not counted: what a backend compiles, and what caches of the machine fill with, is no one's time. */
async function warmUp(painter: Painter, request: RunRequest, tell: Tell, signal: AbortSignal): Promise<void> {
  tell({ kind: 'warming-up' });
  const onStep = async (event: StepEvent) => {
    await previewOf(painter, event);
  };
  await painter.paint([request.subject], { ...samplingOf(request), numInferenceSteps: 1, onStep, signal });
}

function samplingOf({ seed, numInferenceSteps, guidanceScale, sampler }: RunRequest) {
  return { seed, numInferenceSteps, guidanceScale, sampler };
}

async function oneRun(
  painter: Painter,
  request: RunRequest,
  run: RunName,
  cache: CachePolicy | undefined,
  tell: Tell,
  signal: AbortSignal,
): Promise<Made> {
  const options = { ...samplingOf(request), cache };
  const plan = painter.pipe.plan(options);
  const columns = plan ? planCells(plan) : [];
  tell({ kind: 'started', run, columns });
  const onStep = async (event: StepEvent) => {
    const { step, blocks, seconds } = event;
    const preview = await previewOf(painter, event);
    const column = columns[step] ?? columnOf(request.cache, event, painter);
    tell({ kind: 'step', run, step, blocks, seconds, column, preview }, [preview.data.buffer]);
  };
  const { images, report } = await painter.paint([request.subject], { ...options, onStep, signal });
  const [picture] = images;
  if (!picture) throw new RangeError('a run of one picture gave none');
  tell(await pictureDone(painter, request, run, { picture, report }));
  return { picture, report };
}

function columnOf(cache: CacheChoice | null, { blocks }: StepEvent, { pipe }: Painter): BlockMap[number] {
  const { depth } = pipe.transformer.config;
  return cache ? decidedColumn(cache.method, blocks, depth) : Array(depth).fill('computed');
}

/** The clean picture that the model saw in the step, a pixel a latent position. */
async function previewOf({ pipe }: Painter, { xStart }: StepEvent): Promise<PixelImage> {
  const latents = xStart();
  const [preview] = await pipe.preview(latents).finally(() => latents.dispose());
  if (!preview) throw new RangeError('a run of one picture has no preview');
  return preview;
}

async function pictureDone(painter: Painter, request: RunRequest, run: RunName, made: Made): Promise<PictureDone> {
  const { picture, report } = made;
  const file = await pictureFile(painter, run === 'cached' ? request : { ...request, cache: null }, picture, report);
  const cut = 'truncated' in report ? report.truncated.filter((end) => end !== null) : [];
  const warnings = [
    ...report.warnings,
    ...cut.map((end) => `The prompt is too long: the model does not see “${end}”.`),
  ];
  return { kind: 'picture', run, picture, file, samplingSeconds: report.samplingSeconds, warnings };
}

function comparison(uncached: Made, cached: Made) {
  return {
    psnr: psnr(uncached.picture, cached.picture),
    speedUp: uncached.report.samplingSeconds / cached.report.samplingSeconds,
    macsRatio: cached.report.macs?.macsRatio,
  };
}
