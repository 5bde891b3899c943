import { Command, Option } from 'commander';
import {
  artifactJson,
  CALIBRATION_METHODS,
  type CacheArtifact,
  type CalibrationMethod,
  calibrate,
  countBlocks,
  hasPlan,
  OptionError,
  SAMPLER_NAMES,
  type SamplerName,
} from '../../index.ts';
import { subjectsInTurn } from '../../lab/subjects.ts';
import { finiteNumber, wholeNumber } from '../arguments.ts';
import { withInterrupt } from '../interrupt.ts';
import { type LabSubjectOptions, type LabSubjects, labSubjects, withLabSubjects } from '../lab-subjects.ts';
import { withModelOptions } from '../model-options.ts';
import { openPainter } from '../open-painter.ts';
import { checkOutput, writeWhole } from '../pictures.ts';
import { ProgressLine } from '../progress.ts';

interface CalibrateCliOptions extends LabSubjectOptions {
  readonly method: CalibrationMethod;
  readonly samples: number;
  readonly seed: number;
  readonly steps?: number;
  readonly cfgScale?: number;
  readonly guidanceScale?: number;
  readonly sampler?: SamplerName;
  readonly threshold?: number;
  readonly lookahead?: number;
  readonly maxSkip?: number;
  readonly retention?: number;
  readonly batchSize: number;
  readonly output?: string;
  readonly force?: boolean;
}

export function calibrateCommand(): Command {
  const command = new Command('calibrate')
    .description('measure uncached pictures for a cache method, and write the schedule that --cache reads')
    .argument('[model]', 'as --model');
  return withRules(withLabSubjects(withModelOptions(command), 'class by name or number (default: all in turn)'))
    .option('--samples <n>', 'pictures, of the classes or prompts in turn', wholeNumber, 4)
    .option('-s, --seed <n>', 'of the first picture, counting up', wholeNumber, 0)
    .option('--steps <n>', 'sampling steps (default: the checkpoint’s, else 50, of a PixArt 20)', wholeNumber)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .addOption(new Option('--sampler <name>', 'default: the checkpoint’s, else ddim').choices([...SAMPLER_NAMES]))
    .option('--batch-size <n>', 'pictures that run through the model together', wholeNumber, 4)
    .option('-o, --output <file>', 'JSON file (default: <method>.json)')
    .option('--force', 'replace the file when it exists')
    .action((model: string | undefined, options: CalibrateCliOptions) => {
      if (model !== undefined && options.model !== undefined)
        throw new OptionError(`${model} and --model ${options.model}: expected one of the two`);
      return withInterrupt((signal) => run(model === undefined ? options : { ...options, model }, signal));
    });
}

function withRules(command: Command): Command {
  return command
    .addOption(
      new Option('--method <name>', 'smoothcache and magcache give a schedule, teacache its coefficients')
        .choices([...CALIBRATION_METHODS])
        .makeOptionMandatory(),
    )
    .option('--threshold <x>', 'error that is borne (default: smoothcache 0.18, magcache 0.06)', finiteNumber)
    .option('--lookahead <n>', 'of smoothcache: steps that a value is held for, at most (default: 3)', wholeNumber)
    .option('--max-skip <n>', 'of magcache: steps skipped in a row, at most (default: 3)', wholeNumber)
    .option(
      '--retention <x>',
      'of magcache: part of the steps that are all computed first (default: 0.2)',
      finiteNumber,
    );
}

async function run(options: CalibrateCliOptions, signal: AbortSignal): Promise<void> {
  const { method, samples, output = `${method}.json`, force = false, quiet } = options;
  if (samples < 1) throw new OptionError(`--samples: expected at least 1, got ${samples}`);
  await checkOutput(output, force);
  const artifact = await calibrated(await labSubjects(options), options, signal);
  await writeWhole(output, Buffer.from(artifactJson(artifact)));
  if (!quiet) console.error(`${summary(artifact)}\nWrote ${output}`);
}

async function calibrated(
  { kind, subjects }: LabSubjects,
  options: CalibrateCliOptions,
  signal: AbortSignal,
): Promise<CacheArtifact> {
  const { method, samples, seed, steps: numInferenceSteps, sampler, batchSize, width, height, quiet } = options;
  const { threshold, lookahead, maxSkip, retention } = options;
  const guidanceScale = options.cfgScale ?? options.guidanceScale;
  const guided = guidanceScale === undefined || guidanceScale > 1;
  const painter = await openPainter(options, kind, { pictures: Math.min(batchSize, samples), guided, width, height });
  const progress = quiet ? undefined : new ProgressLine('Calibrating');
  try {
    const inTurn = subjectsInTurn(painter, subjects, samples);
    return await calibrate(painter, {
      ...{ method, rules: { threshold, lookahead, maxSkip, retention } },
      pictures: inTurn.map((subject, i) => ({ subject, seed: seed + i })),
      ...{ numInferenceSteps, guidanceScale, sampler, batchSize, signal },
      onProgress: ({ done, what }) => progress?.update(done, what),
    });
  } finally {
    progress?.end();
    painter.pipe.dispose();
  }
}

function summary(artifact: CacheArtifact): string {
  if (!hasPlan(artifact)) return `${artifact.method}: coefficients ${artifact.coefficients.join(', ')}`;
  const { computed, reused } = countBlocks(artifact.plan);
  const full = (computed / artifact.plan.depth).toFixed(1);
  return `${artifact.method}: computes the blocks of ${full} of ${artifact.plan.steps.length} steps, ${((computed + reused) / computed).toFixed(2)}× fewer`;
}
