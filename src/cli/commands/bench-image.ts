import { Command, Option } from 'commander';
import type { WeightDtype } from '../../checkpoint/hold.ts';
import {
  classPainter,
  DiTPipeline,
  type OpenedCheckpoint,
  openCheckpoint,
  type Painter,
  PixArtPipeline,
  promptPainter,
  randomPainter,
} from '../../index.ts';
import { benchImage } from '../../lab/bench-image.ts';
import type { BenchProgress } from '../../lab/bench-progress.ts';
import { BENCH_SIZE_NAMES, benchCheckpoint } from '../../lab/bench-sizes.ts';
import { torchPainter } from '../../lab/bench-torch.ts';
import { type ImageWorkload, imageWorkload, underDDIM } from '../../lab/image-workload.ts';
import { subjectsInTurn } from '../../lab/subjects.ts';
import { appended, finiteNumber, wholeNumber } from '../arguments.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { CACHE_NAMES, cachePolicy } from '../cache-options.ts';
import { findModel } from '../find-model.ts';
import { imageTable } from '../image-table.ts';
import { withInterrupt } from '../interrupt.ts';
import { checkMemory, memoryLimits, weightCopies } from '../memory-check.ts';
import { DEFAULT_MODEL, PROMPT_MODEL, startBackend } from '../model-options.ts';
import { checkSubjects, modelName } from '../open-painter.ts';
import { ProgressLine } from '../progress.ts';
import { besideTorch, type TorchCliOptions, withTorchOptions } from '../torch-options.ts';
import { checkRounds, type RoundsOptions, withRounds } from './bench-speed.ts';

interface ImageCliOptions extends RoundsOptions, TorchCliOptions {
  readonly model?: string;
  readonly size?: string;
  readonly class?: readonly string[];
  readonly prompt?: readonly string[];
  readonly steps?: number;
  readonly cfgScale?: number;
  readonly cache: string;
  readonly cacheOption: readonly string[];
  readonly forceMemory?: boolean;
}

const DESCRIPTION =
  'time whole pictures: all steps of DDIM, then decoding; uncached, under a cache method, and in PyTorch';

export function imageCommand(): Command {
  const command = new Command('image')
    .description(DESCRIPTION)
    .option(
      '-m, --model <name>',
      `checkpoint folder, weights file, or the name of a shipped one (default: ${DEFAULT_MODEL}; for prompts ${PROMPT_MODEL})`,
    )
    .addOption(
      new Option('--size <name>', `instead of a model: random weights of ${BENCH_SIZE_NAMES.join(', ')}`).conflicts([
        'model',
        'class',
        'prompt',
      ]),
    )
    .option('--class <name>', 'of a DiT: class by name or number (default: all in turn)', appended)
    .option('-p, --prompt <text>', 'of a PixArt, encoded before; may be given several times', appended)
    .option('--steps <n>', 'of DDIM (default: the checkpoint’s, else 50, of a PixArt 20)', wholeNumber)
    .option('--cfg-scale <x>', 'guidance scale (default: the checkpoint’s, else 4, of a PixArt 4.5)', finiteNumber);
  return withTorchOptions(withRounds(command, 3), 'for the sampler and the autoencoder')
    .option('--cache <method>', `timed beside the uncached model: ${CACHE_NAMES.join(', ')}`, 'none')
    .option('--cache-option <k=v,…>', 'of the method, such as interval=2,cachedBlocks=21', appended, [])
    .option('--force-memory', 'load a model that is estimated not to fit in memory')
    .action((options: ImageCliOptions) => withInterrupt((signal) => image(options, signal)));
}

async function image(options: ImageCliOptions, signal: AbortSignal): Promise<void> {
  checkRounds(options);
  const { rounds, batchSize, quiet, json } = options;
  const cache = await cachePolicy(options.cache, options.cacheOption);
  await withWorkload(options, async (workload, name) => {
    const progress = quiet ? undefined : new ProgressLine('Timing');
    const onProgress = ({ done, what }: BenchProgress) => progress?.update(done, what);
    const report = await besideTorch(
      options,
      (start, folder) => torchPainter(workload, start, folder),
      (rival) => benchImage(workload, { rounds, cache, rival, signal, onProgress }),
    ).finally(() => progress?.end());
    const environment = await benchEnvironment();
    if (json) console.log(JSON.stringify({ name, batchSize, ...report, environment }, null, 1));
    else console.log(`${imageTable(report, `${name}; ${batchSize} at once`)}\n\n${environmentLine(environment)}`);
  });
}

/** @param use is given the workload and what it is of */
async function withWorkload(
  options: ImageCliOptions,
  use: (workload: ImageWorkload, name: string) => Promise<void>,
): Promise<void> {
  const { size, prompt, batchSize, steps: numInferenceSteps, cfgScale: guidanceScale, forceMemory, dtype } = options;
  const kind = prompt ? 'prompt' : 'class';
  const name = size ?? modelName(options, kind);
  const path = size === undefined ? await findModel(name, { quiet: options.quiet }) : undefined;
  const backend = await startBackend(options);
  const checkpoint = underDDIM(path === undefined ? benchCheckpoint(name) : await openCheckpoint(path));
  const opened: { dispose(): void }[] = [];
  try {
    if (path !== undefined) checkSubjects(checkpoint, kind, {});
    const request = { pictures: batchSize, guided: true, dtype };
    if (!forceMemory) await checkMemory(checkpoint, request, memoryLimits(backend), weightCopies(backend));
    const painter = await painterOf(checkpoint, path === undefined, dtype);
    opened.push(painter.pipe);
    const subjects = subjectsInTurn(painter, prompt ?? options.class, batchSize);
    const setting = { pipe: painter.pipe, subjects, numInferenceSteps, guidanceScale };
    const workload = await imageWorkload(checkpoint, setting);
    opened.push(workload);
    await use(workload, name);
  } finally {
    for (const part of opened.reverse()) part.dispose();
    await checkpoint.close();
  }
}

async function painterOf(checkpoint: OpenedCheckpoint, random: boolean, dtype?: WeightDtype): Promise<Painter> {
  if (random) return randomPainter(checkpoint, { dtype }, {});
  return checkpoint.pipeline === 'DiTPipeline'
    ? classPainter(await DiTPipeline.fromCheckpoint(checkpoint, { dtype }))
    : promptPainter(await PixArtPipeline.fromCheckpoint(checkpoint, { dtype }));
}
