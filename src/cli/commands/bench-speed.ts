import { Command } from 'commander';
import { BackendError, OptionError } from '../../errors.ts';
import { profileWorkload } from '../../lab/bench-profile.ts';
import type { BenchProgress } from '../../lab/bench-progress.ts';
import { BENCH_SIZE_NAMES, benchCheckpoint } from '../../lab/bench-sizes.ts';
import { benchSpeed } from '../../lab/bench-speed.ts';
import { torchRival } from '../../lab/bench-torch.ts';
import { blockWorkload } from '../../lab/block-workload.ts';
import { modelWorkload } from '../../lab/model-workload.ts';
import type { Workload } from '../../lab/workload.ts';
import { wholeNumber } from '../arguments.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { withInterrupt } from '../interrupt.ts';
import { checkMemory, memoryLimits, weightCopies } from '../memory-check.ts';
import { type BackendCliOptions, startBackend, withBackendOptions, withDtypeOption } from '../model-options.ts';
import { ProgressLine } from '../progress.ts';
import { profileTable, roundsOf, speedTable } from '../speed-tables.ts';
import { besideTorch, type TorchCliOptions, withTorchOptions } from '../torch-options.ts';

/** How often what is measured, and how it is printed. */
export interface RoundsOptions extends BackendCliOptions {
  readonly batchSize: number;
  readonly rounds: number;
  readonly json?: boolean;
}

export interface SizedOptions extends RoundsOptions {
  readonly size: string;
}

interface SpeedCliOptions extends SizedOptions, TorchCliOptions {
  readonly tokens?: number;
  readonly profile?: boolean;
  readonly forceMemory?: boolean;
}

type Task = Workload['task'];
const UNITS: Readonly<Record<Task, string>> = { block: 'a block', model: 'a forward' };

export function blockCommand(): Command {
  const description = 'time a transformer block: a chain of four with random weights, under guidance';
  return speedCommand('block', description).option('--tokens <n>', 'of a picture (default: of the size)', wholeNumber);
}

export function modelCommand(): Command {
  return speedCommand('model', 'time one forward of a whole model with random weights, under guidance');
}

function speedCommand(task: Task, description: string): Command {
  return withTorchOptions(withSizeOptions(new Command(task).description(description), 20), 'for a PixArt')
    .option('--profile', 'say where the time goes, too')
    .option('--force-memory', 'load a model that is estimated not to fit in memory')
    .action((options: SpeedCliOptions) => withInterrupt((signal) => speed(task, options, signal)));
}

export function withSizeOptions(command: Command, rounds: number): Command {
  return withRounds(command.option('--size <name>', BENCH_SIZE_NAMES.join(', '), 'demo'), rounds);
}

export function withRounds(command: Command, rounds: number): Command {
  return withDtypeOption(withBackendOptions(command))
    .option('--batch-size <n>', 'pictures that run together; each takes two rows', wholeNumber, 1)
    .option('--rounds <n>', 'times that it is measured', wholeNumber, rounds)
    .option('--json', 'print JSON');
}

/** @throws OptionError */
export function checkRounds({ batchSize, rounds }: RoundsOptions): void {
  for (const [flag, value] of Object.entries({ '--batch-size': batchSize, '--rounds': rounds }))
    if (value < 1) throw new OptionError(`${flag}: expected at least 1, got ${value}`);
}

async function speed(task: Task, options: SpeedCliOptions, signal: AbortSignal): Promise<void> {
  checkRounds(options);
  const { rounds, quiet, json, profile } = options;
  const workload = await openWorkload(task, options);
  const progress = quiet ? undefined : new ProgressLine('Timing');
  try {
    const profiled = profile ? await profileWorkload(workload, rounds) : undefined;
    const onProgress = ({ done, what }: BenchProgress) => progress?.update(done, what);
    const report = await besideTorch(
      options,
      (start, folder) => torchRival(workload, start, folder),
      (rival) => benchSpeed(workload, { rounds, rival, signal, onProgress }),
    ).finally(() => progress?.end());
    const { size, batchSize, tokens, dtype = 'float32' } = options;
    const environment = await benchEnvironment();
    if (json) {
      const setting = { task, size, batchSize, tokens, dtype };
      console.log(JSON.stringify({ ...setting, ...report, profile: profiled, environment }, null, 1));
      return;
    }
    const tables = [
      speedTable(report, settingOf(task, options), UNITS[task]),
      ...(profiled ? [profileTable(profiled)] : []),
    ];
    console.log([...tables, environmentLine(environment)].join('\n\n'));
  } finally {
    workload.dispose();
  }
}

function settingOf(task: Task, { size, batchSize, tokens, rounds, dtype = 'float32' }: SpeedCliOptions): string {
  const what = tokens === undefined ? size : `${size} on ${tokens} tokens`;
  return `${task} of ${what}; ${batchSize} at once, guided; weights in ${dtype}; ${roundsOf(rounds)}`;
}

async function openWorkload(task: Task, options: SpeedCliOptions): Promise<Workload> {
  const { size, batchSize, tokens, profile, forceMemory, dtype } = options;
  if (tokens !== undefined && tokens < 1) throw new OptionError(`--tokens: expected at least 1, got ${tokens}`);
  const checkpoint = benchCheckpoint(size);
  const backend = await startBackend(options);
  if (profile && backend.gpu)
    throw new BackendError(
      '--profile: a GPU computes after it is called, so that time cannot be told apart; use --backend',
    );
  if (task === 'block') return blockWorkload(checkpoint, { batchSize, tokens, dtype });
  const request = { pictures: batchSize, guided: true, dtype };
  if (!forceMemory) await checkMemory(checkpoint, request, memoryLimits(backend), weightCopies(backend));
  return modelWorkload(checkpoint, batchSize, dtype);
}
