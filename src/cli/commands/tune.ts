import { Command } from 'commander';
import {
  artifactJson,
  fingerprintOf,
  OptionError,
  type Painter,
  type PaintOptions,
  samplingOf,
  subjectsInTurn,
  type TableArtifact,
  TUNE_BATCH,
  type TunedMethod,
  type TuneGoal,
  type TuneReport,
  tune,
} from '../../index.ts';
import { finiteNumber, wholeNumber } from '../arguments.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { markdown } from '../bench-tables.ts';
import { withInterrupt } from '../interrupt.ts';
import { withLabSubjects } from '../lab-subjects.ts';
import { withModelOptions } from '../model-options.ts';
import { type BenchedOptions, guidanceOf, openBenched } from '../open-benched.ts';
import { checkOutput, writeWhole } from '../pictures.ts';
import { ProgressLine } from '../progress.ts';

interface TuneCliOptions extends BenchedOptions {
  readonly targetSpeedup?: number;
  readonly minPsnr?: number;
  readonly samples: number;
  readonly heldOut: number;
  readonly placements: number;
  readonly referenceSteps: number;
  readonly output: string;
  readonly force?: boolean;
  readonly orNearest?: boolean;
}

export function tuneCommand(): Command {
  const command = new Command('tune').description(
    'search the way to sample a model that is nearest to its converged pictures at a speed, or fastest at a quality',
  );
  return withLabSubjects(withModelOptions(command), 'class by name or number (default: all in turn)')
    .option('--target-speedup <x>', 'so many times faster than 20 uncached DDIM steps', finiteNumber)
    .option('--min-psnr <dB>', 'or: at least so near to 250 uncached DDIM steps (--reference-steps)', finiteNumber)
    .option('--samples <n>', 'pictures that the search looks at', wholeNumber, 8)
    .option('--held-out <n>', 'other pictures, which decide', wholeNumber, 16)
    .option('--placements <n>', 'placements of timesteps that are tried; 0 leaves the solver’s own', wholeNumber, 60)
    .option('--reference-steps <n>', 'uncached DDIM steps of the pictures that all are judged by', wholeNumber, 250)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .option('-o, --output <file>', 'the plan, for --cache <file>', 'cache-plan.json')
    .option('--force', 'replace the file when it exists')
    .option('--or-nearest', 'where the goal is out of reach, write what comes nearest')
    .action((options: TuneCliOptions) => withInterrupt((signal) => tuneModel(options, signal)));
}

async function tuneModel(options: TuneCliOptions, signal: AbortSignal): Promise<void> {
  const { output, force = false, samples, heldOut, placements, referenceSteps, width, height, quiet } = options;
  const goal = goalOf(options);
  await checkOutput(output, force);
  const { painter, subjects } = await openBenched({
    ...options,
    batchSize: Math.min(TUNE_BATCH, Math.max(samples, heldOut, 1)),
  });
  const progress = quiet ? undefined : new ProgressLine('Tuning');
  try {
    const guidanceScale = guidanceOf(options);
    const report = await tune(painter, {
      ...{ goal, subjects, samples, heldOut, placements, referenceSteps, guidanceScale, width, height, signal },
      onProgress: ({ done, what }) => progress?.update(done, what),
    }).finally(() => progress?.end());
    console.log(`${tuneTable(report, referenceSteps)}\n\n${environmentLine(await benchEnvironment())}`);
    const written = report.best ?? (options.orNearest ? report.nearest : undefined);
    if (written) {
      const [subject = '0'] = subjectsInTurn(painter, subjects, 1);
      const artifact = await artifactOf(painter, written, subject, { guidanceScale, width, height });
      await writeWhole(output, Buffer.from(artifactJson(artifact)));
      if (!quiet) console.error(`Wrote ${output}: use it with --cache ${output}`);
    }
    if (!report.best) throw outOfReach(goal, report, written && output);
  } finally {
    painter.pipe.dispose();
  }
}

function outOfReach(goal: TuneGoal, { nearest }: TuneReport, written: string | undefined): OptionError {
  const asked = 'targetSpeedup' in goal ? `--target-speedup ${goal.targetSpeedup}` : `--min-psnr ${goal.minPsnr}`;
  const { method, speedup, psnr } = nearest;
  return new OptionError(
    `${asked}: nothing that was tried reaches it on held-out pictures; nearest: ${method.name}, ${speedup.toFixed(2)}× at ${psnr.toFixed(1)} dB${
      written === undefined
        ? '; nothing was written: ask for less, or give --or-nearest'
        : `, which ${written} holds, as --or-nearest asks`
    }`,
  );
}

function goalOf({ targetSpeedup, minPsnr }: TuneCliOptions): TuneGoal {
  if (targetSpeedup !== undefined && minPsnr === undefined) return { targetSpeedup };
  if (minPsnr !== undefined && targetSpeedup === undefined) return { minPsnr };
  const got = minPsnr === undefined ? 'neither' : 'both';
  throw new OptionError(`--target-speedup and --min-psnr: expected one of the two, got ${got}`);
}

async function artifactOf(
  { pipe, describe }: Painter,
  { method, speedup, speedups, psnr, pictures }: TunedMethod,
  subject: string,
  options: Pick<PaintOptions, 'guidanceScale' | 'width' | 'height'>,
): Promise<TableArtifact> {
  const described = await describe([subject], { ...samplingOf(method), ...options, seed: 0 });
  const isSized = 'paintedWidth' in described;
  const painted = isSized ? { width: described.paintedWidth, height: described.paintedHeight } : undefined;
  const sampling = { ...samplingOf(method), guidanceScale: described.guidanceScale, painted };
  const plan = pipe.plan(sampling);
  if (!plan) throw new RangeError(`${method.name} has no plan`);
  return {
    method: 'tuned',
    fingerprint: fingerprintOf(pipe.planSetting(sampling)),
    plan,
    measured: { way: method.name, speedup, speedups, psnr, pictures },
  };
}

function tuneTable({ best, tried, frontier }: TuneReport, referenceSteps: number): string {
  const names = new Set(frontier.map(({ method }) => method.name));
  const row = (one: TunedMethod) => [
    one === best ? `**${one.method.name}**` : one.method.name,
    one.speedup.toFixed(2),
    `${one.speedups.min.toFixed(2)} – ${one.speedups.max.toFixed(2)}`,
    one.psnr.toFixed(2),
    names.has(one.method.name) ? 'yes' : '',
  ];
  const head = [
    `way to sample, ${tried[0]?.pictures ?? 0} held-out pictures`,
    ...['× 20 DDIM steps', 'min – max', `PSNR to ${referenceSteps}, dB`, 'on the frontier'],
  ];
  return markdown([head, ...tried.map(row)]);
}
