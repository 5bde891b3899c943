import { Command, Option } from 'commander';
import {
  type CachePolicy,
  type DiTPipeline,
  ditCost,
  drawPlan,
  type GenerationReport,
  OptionError,
  openDiT,
  planCost,
  SAMPLER_NAMES,
  type SamplerName,
  uncachedPlan,
} from '../../index.ts';
import { checkSteps, LINEAR_SCHEDULE } from '../../schedulers/noise-schedule.ts';
import { appended, finiteNumber, wholeNumber } from '../arguments.ts';
import { CACHE_NAMES, cachePolicy } from '../cache-options.ts';
import { compared, summary } from '../compare.ts';
import { withInterrupt } from '../interrupt.ts';
import { type ModelOptions, modelPath, openPipeline, withModelOptions } from '../model-options.ts';
import { checkOutput, encodePng, grid, writeWhole } from '../pictures.ts';
import { duration } from '../progress.ts';
import { type Job, type RunSettings, runJobs } from '../run-jobs.ts';
import { pictureTexts } from '../settings-text.ts';

interface GenerateOptions extends ModelOptions {
  readonly class?: readonly string[];
  readonly seed: number;
  readonly count: number;
  readonly steps?: number;
  readonly cfgScale?: number;
  readonly guidanceScale?: number;
  readonly sampler?: SamplerName;
  readonly eta?: number;
  readonly cache?: string;
  readonly cacheOption: readonly string[];
  readonly output: string;
  readonly force?: boolean;
  readonly compare?: boolean;
  readonly explain?: boolean;
  readonly metadata: boolean;
}

export function generateCommand(): Command {
  const command = withModelOptions(new Command('generate').description('make pictures of classes'));
  return command
    .option('--class <name>', 'class by name or number; several make a grid', appended)
    .option('-s, --seed <n>', 'noise; −1 is random', wholeNumber, -1)
    .option('--count <n>', 'pictures of each class, with seeds counting up', wholeNumber, 1)
    .option('--steps <n>', 'sampling steps (default: the checkpoint’s, else 50)', wholeNumber)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4)', finiteNumber)
    .option('--guidance-scale <x>', 'the same', finiteNumber)
    .addOption(
      new Option('--sampler <name>', 'default: the checkpoint’s, else ddim; ddpm-original is the DiT demo’s').choices([
        ...SAMPLER_NAMES,
      ]),
    )
    .option('--eta <x>', 'noise that ddim and ddim-original add, 0 to 1 (default: 0)', finiteNumber)
    .option('--cache <method>', `none, ${CACHE_NAMES.join(', ')}`)
    .option(
      '--cache-option <k=v,…>',
      'of the method, such as interval=2,cachedBlocks=21,stageBound=12 or budget=0.625',
      appended,
      [],
    )
    .option('-o, --output <file>', 'PNG file', 'out.png')
    .option('--force', 'replace the file when it exists')
    .option('--compare', 'uncached and cached side by side, with PSNR, SSIM and both times')
    .option('--explain', 'print the plan of steps × blocks and its MACs; make nothing')
    .option('--no-metadata', 'leave the settings out of the PNG')
    .action(generate);
}

async function generate(options: GenerateOptions): Promise<void> {
  const policy = cachePolicy(options.cache ?? (options.compare ? 'delta-dit' : undefined), options.cacheOption);
  if (options.explain) return explain(options, policy);
  if (!options.class)
    throw new OptionError('--class: expected a class name or number; "delta-dit inspect" lists a checkpoint’s');
  if (options.count < 1) throw new OptionError(`--count: expected at least 1, got ${options.count}`);
  if (options.compare && !policy) throw new OptionError('--compare: needs a cache method; leave out --cache none');
  await checkOutput(options.output, options.force ?? false);
  const seed = options.seed < 0 ? Math.floor(Math.random() * 2 ** 32) : options.seed;
  const jobs = options.class.flatMap((label) =>
    Array.from({ length: options.count }, (_, i): Job => ({ label, seed: seed + i })),
  );
  const pipe = await openPipeline(options);
  try {
    await withInterrupt((signal) => run(pipe, jobs, policy, options, signal));
  } finally {
    pipe.dispose();
  }
}

async function run(
  pipe: DiTPipeline,
  jobs: readonly Job[],
  policy: CachePolicy | undefined,
  options: GenerateOptions,
  signal: AbortSignal,
): Promise<void> {
  const settings: RunSettings = {
    numInferenceSteps: options.steps,
    guidanceScale: options.cfgScale ?? options.guidanceScale,
    sampler: options.sampler,
    eta: options.eta,
    quiet: options.quiet ?? false,
    signal,
  };
  const say = (text: string) => options.quiet || console.error(text);
  const warn = ({ warnings }: GenerationReport) => {
    for (const text of warnings) say(`warning: ${text}`);
  };
  if (options.compare && policy) {
    const result = await compared(pipe, jobs, policy, settings);
    const texts = options.metadata ? pictureTexts(pipe, result.cached.report, jobs, options) : {};
    await writeWhole(options.output, await encodePng(await grid(result.rows), texts));
    warn(result.cached.report);
    say(summary(result));
  } else {
    const { images, report } = await runJobs(pipe, jobs, { ...settings, cache: policy });
    const rows = Array.from({ length: Math.ceil(images.length / options.count) }, (_, i) =>
      images.slice(i * options.count, (i + 1) * options.count),
    );
    const texts = options.metadata ? pictureTexts(pipe, report, jobs, options) : {};
    await writeWhole(options.output, await encodePng(await grid(rows), texts));
    warn(report);
    const macs = report.cache && report.macs ? `, ${report.macs.macsRatio.toFixed(2)}× fewer MACs in the blocks` : '';
    say(`Seed ${jobs[0]?.seed}: ${report.timesteps.length} steps in ${duration(report.samplingSeconds)}${macs}`);
  }
  say(`Wrote ${options.output}`);
}

async function explain(options: GenerateOptions, policy: CachePolicy | undefined): Promise<void> {
  const checkpoint = await openDiT(modelPath(options.model), options);
  try {
    const { config } = checkpoint.transformer;
    checkSteps(options.steps ?? 1, LINEAR_SCHEDULE.numTrainTimesteps);
    const setting = {
      numInferenceSteps: options.steps ?? checkpoint.defaults.numInferenceSteps ?? 50,
      depth: config.depth,
    };
    const plan = policy?.plan(setting) ?? uncachedPlan(setting);
    const [cost, whole] = [planCost(plan, ditCost(config)), planCost(uncachedPlan(setting), ditCost(config))];
    const giga = (macs: number) => `${(macs / 1e9).toFixed(3)} G`;
    console.log(
      `${policy?.name ?? 'no cache'}: steps from noise, one column a block; # computed, + computed and recorded, . reused`,
    );
    console.log(drawPlan(plan));
    console.log(`MACs of the blocks, one picture, one guidance half (uncached):`);
    console.log(`  linear layers   ${giga(cost.linear)} (${giga(whole.linear)})`);
    console.log(`  with attention  ${giga(cost.withAttention)} (${giga(whole.withAttention)})`);
    console.log(`  ${cost.macsRatio.toFixed(2)}× fewer`);
  } finally {
    await checkpoint.close();
  }
}
