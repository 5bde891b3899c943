import { Command } from 'commander';
import { randomPainter } from '../../index.ts';
import { benchCheckpoint } from '../../lab/bench-sizes.ts';
import { spreadOf } from '../../lab/spread.ts';
import { wholeNumber } from '../arguments.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { CACHE_NAMES, cachePolicy } from '../cache-options.ts';
import { withInterrupt } from '../interrupt.ts';
import { checkMemory, memoryLimits, weightCopies } from '../memory-check.ts';
import { startBackend } from '../model-options.ts';
import { ProgressLine } from '../progress.ts';
import { imageTable } from '../speed-tables.ts';
import { checkSized, type SizedOptions, withSizeOptions } from './bench-speed.ts';

interface ImageCliOptions extends SizedOptions {
  readonly steps?: number;
  readonly cache: string;
}

export function imageCommand(): Command {
  const command = new Command('image').description('time whole pictures with random weights: all steps, then decoding');
  return withSizeOptions(command, 3)
    .option('--steps <n>', 'sampling steps (default: 20)', wholeNumber)
    .option('--cache <method>', CACHE_NAMES.join(', '), 'none')
    .action((options: ImageCliOptions) => withInterrupt((signal) => image(options, signal)));
}

async function image(options: ImageCliOptions, signal: AbortSignal): Promise<void> {
  checkSized(options);
  const { size, batchSize, rounds, steps: numInferenceSteps, quiet, json, dtype } = options;
  const cache = await cachePolicy(options.cache, []);
  const checkpoint = benchCheckpoint(size);
  const backend = await startBackend(options);
  const request = { pictures: batchSize, guided: true, dtype };
  await checkMemory(checkpoint, request, memoryLimits(backend), weightCopies(backend));
  const painter = await randomPainter(checkpoint, { dtype }, {});
  const progress = quiet ? undefined : new ProgressLine('Painting');
  try {
    const subjects = Array.from({ length: batchSize }, () => painter.allSubjects[0] ?? '');
    const times: { sampling: number; decode: number }[] = [];
    for (let round = 0; round <= rounds; round++) {
      const { report } = await painter.paint(subjects, { numInferenceSteps, cache, seed: 0, signal });
      if (round > 0) times.push({ sampling: report.samplingSeconds, decode: report.decodeSeconds }); // 0 warms up
      progress?.update(round / rounds, `round ${round} of ${rounds}`);
    }
    const report = {
      ...{ size, batchSize, rounds, numInferenceSteps: numInferenceSteps ?? painter.pipe.defaults.numInferenceSteps },
      cache: cache?.name ?? null,
      dtype: painter.pipe.dtype,
      seconds: spreadOf(times.map(({ sampling, decode }) => sampling + decode)),
      samplingSeconds: spreadOf(times.map(({ sampling }) => sampling)),
      decodeSeconds: spreadOf(times.map(({ decode }) => decode)),
    };
    progress?.end();
    const environment = await benchEnvironment();
    if (json) console.log(JSON.stringify({ ...report, environment }, null, 1));
    else console.log(`${imageTable(report)}\n\n${environmentLine(environment)}`);
  } finally {
    progress?.end();
    painter.pipe.dispose();
  }
}
