import { Command } from 'commander';
import {
  artifactJson,
  fingerprintOf,
  OptionError,
  type Painter,
  samplingOf,
  type TableArtifact,
  type TunedMethod,
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
  readonly output: string;
  readonly force?: boolean;
}

export function tuneCommand(): Command {
  const command = new Command('tune').description(
    'search the way to sample a model that is nearest to its converged pictures at a speed, or fastest at a quality',
  );
  return withLabSubjects(withModelOptions(command), 'class by name or number (default: all in turn)')
    .option('--target-speedup <x>', 'so many times faster than 20 uncached DDIM steps', finiteNumber)
    .option('--min-psnr <dB>', 'or: at least so near to 250 uncached DDIM steps', finiteNumber)
    .option('--samples <n>', 'pictures that the search looks at', wholeNumber, 8)
    .option('--held-out <n>', 'other pictures, which decide', wholeNumber, 16)
    .option('--placements <n>', 'placements of timesteps that are tried; 0 leaves the solver’s own', wholeNumber, 60)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .option('-o, --output <file>', 'the plan, for --cache <file>', 'cache-plan.json')
    .option('--force', 'replace the file when it exists')
    .action((options: TuneCliOptions) => withInterrupt((signal) => tuneModel(options, signal)));
}

async function tuneModel(options: TuneCliOptions, signal: AbortSignal): Promise<void> {
  const { output, force = false, samples, heldOut, placements, width, height, quiet } = options;
  const goal = goalOf(options);
  await checkOutput(output, force);
  const { painter, subjects } = await openBenched({ ...options, batchSize: Math.max(samples, heldOut) });
  const progress = quiet ? undefined : new ProgressLine('Tuning');
  try {
    const guidanceScale = guidanceOf(options);
    const report = await tune(painter, {
      ...{ goal, subjects, samples, heldOut, placements, guidanceScale, width, height, signal },
      onProgress: ({ done, what }) => progress?.update(done, what),
    }).finally(() => progress?.end());
    const artifact = artifactOf(painter, report.best, guidanceScale);
    await writeWhole(output, Buffer.from(artifactJson(artifact)));
    console.log(`${tuneTable(report)}\n\n${environmentLine(await benchEnvironment())}`);
    if (!quiet) console.error(`Wrote ${output}: use it with --cache ${output}`);
  } finally {
    painter.pipe.dispose();
  }
}

function goalOf({ targetSpeedup, minPsnr }: TuneCliOptions) {
  if (targetSpeedup !== undefined && minPsnr === undefined) return { targetSpeedup };
  if (minPsnr !== undefined && targetSpeedup === undefined) return { minPsnr };
  const got = minPsnr === undefined ? 'neither' : 'both';
  throw new OptionError(`--target-speedup and --min-psnr: expected one of the two, got ${got}`);
}

function artifactOf({ pipe }: Painter, { method, ...measured }: TunedMethod, guidanceScale?: number): TableArtifact {
  const sampling = { ...samplingOf(method), ...(guidanceScale !== undefined && { guidanceScale }) };
  const plan = pipe.plan(sampling);
  if (!plan) throw new RangeError(`${method.name} has no plan`);
  return {
    method: 'tuned',
    fingerprint: fingerprintOf(pipe.planSetting(sampling)),
    plan,
    measured: { way: method.name, ...measured },
  };
}

function tuneTable({ best, tried }: TuneReport): string {
  const row = (one: TunedMethod) => [
    one === best ? `**${one.method.name}**` : one.method.name,
    one.speedup.toFixed(2),
    one.psnr.toFixed(2),
  ];
  const head = [`way to sample, ${best.pictures} held-out pictures`, '× 20 DDIM steps', 'PSNR to 250, dB'];
  return markdown([head, ...tried.map(row)]);
}
