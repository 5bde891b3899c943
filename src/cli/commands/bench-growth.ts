import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { deltaDiT, type Painter, randomPainter } from '../../index.ts';
import { benchCheckpoint } from '../../lab/bench-sizes.ts';
import { benchSpeed } from '../../lab/bench-speed.ts';
import { blockWorkload } from '../../lab/block-workload.ts';
import type { Line } from '../../lab/line-chart.ts';
import { medianOf } from '../../lab/spread.ts';
import { benchEnvironment, environmentLine } from '../bench-environment.ts';
import { type Growth, growthFigure, growthTables } from '../growth-report.ts';
import { withInterrupt } from '../interrupt.ts';
import { checkMemory, memoryLimits, weightCopies } from '../memory-check.ts';
import { startBackend } from '../model-options.ts';
import { checkOutput, writeWhole } from '../pictures.ts';
import { ProgressLine } from '../progress.ts';
import { checkRounds, type SizedOptions, withSizeOptions } from './bench-speed.ts';

interface GrowthCliOptions extends SizedOptions {
  readonly output: string;
  readonly force?: boolean;
  readonly forceMemory?: boolean;
}

const TOKENS = [64, 256, 1024, 4096];
const BATCHES = [1, 2, 4, 8];
/** Of the blocks whose batch grows. */
const BATCH_TOKENS = 256;
const STEPS = [4, 10, 20, 50, 100, 250];

export function growthCommand(): Command {
  const description = 'how time grows with tokens, batch and steps: a table and a plot';
  return withSizeOptions(new Command('growth').description(description), 3)
    .option('-o, --output <folder>', 'for growth.md and growth.svg', 'test/bench/report')
    .option('--force', 'replace files when they exist')
    .option('--force-memory', 'load a model that is estimated not to fit in memory')
    .action((options: GrowthCliOptions) => withInterrupt((signal) => growth(options, signal)));
}

async function growth(options: GrowthCliOptions, signal: AbortSignal): Promise<void> {
  checkRounds(options);
  const { output, force = false, quiet, json } = options;
  const [table, figure] = [join(output, 'growth.md'), join(output, 'growth.svg')];
  await mkdir(output, { recursive: true });
  for (const path of [table, figure]) await checkOutput(path, force);
  const report = await measured(options, signal);
  await writeWhole(table, Buffer.from(growthTables(report)));
  await writeWhole(figure, Buffer.from(growthFigure(report)));
  console.log(json ? JSON.stringify(report, null, 1) : growthTables(report));
  if (!quiet) console.error(`Wrote ${table} and ${figure}`);
}

async function measured(options: GrowthCliOptions, signal: AbortSignal): Promise<Growth> {
  const { size, rounds, batchSize, quiet, dtype, forceMemory } = options;
  const checkpoint = benchCheckpoint(size);
  const backend = await startBackend(options);
  const request = { pictures: 1, guided: true, dtype };
  if (!forceMemory) await checkMemory(checkpoint, request, memoryLimits(backend), weightCopies(backend));
  const progress = quiet ? undefined : new ProgressLine('Timing');
  const all = TOKENS.length + BATCHES.length + 2 * STEPS.length;
  let done = 0;
  const count = (what: string) => progress?.update(++done / all, what);
  const blockMs = async (tokens: number, batch: number) => {
    const workload = await blockWorkload(checkpoint, { batchSize: batch, tokens, dtype });
    const { ms } = await benchSpeed(workload, { rounds, signal }).finally(() => workload.dispose());
    count(`${tokens} tokens, batch of ${batch}`);
    return ms.median;
  };
  try {
    const tokens = await line('a block', TOKENS, (t) => blockMs(t, batchSize));
    const batch = await line(`a block of ${BATCH_TOKENS} tokens`, BATCHES, (b) => blockMs(BATCH_TOKENS, b));
    const painter = await randomPainter(checkpoint, { dtype }, {});
    const steps = await stepLines(painter, { rounds, signal, count }).finally(() => painter.pipe.dispose());
    const environment = environmentLine(await benchEnvironment());
    const held = dtype === undefined ? '' : ` --dtype ${dtype}`;
    const command = `node bin/delta-dit.mjs bench growth --size ${size} --batch-size ${batchSize} --rounds ${rounds}${held}`;
    return { size, batchSize, rounds, tokens: [tokens], batch: [batch], steps, command, environment };
  } finally {
    progress?.end();
  }
}

interface StepsSetting {
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly count: (what: string) => void;
}

/** Seconds of sampling, uncached and under Δ-DiT, in turn. */
async function stepLines(painter: Painter, { rounds, signal, count }: StepsSetting): Promise<readonly Line[]> {
  const caches = { uncached: undefined, 'Δ-DiT': deltaDiT() };
  const seconds = new Map<string, number[]>();
  const subjects = [painter.allSubjects[0] ?? ''];
  for (const numInferenceSteps of STEPS) {
    const times = Object.keys(caches).map((name) => [name, [] as number[]] as const);
    for (let round = 0; round < rounds; round++) {
      for (const [name, measured] of times) {
        const cache = name === 'uncached' ? caches.uncached : caches['Δ-DiT'];
        const { report } = await painter.paint(subjects, { numInferenceSteps, cache, seed: 0, signal });
        measured.push(report.samplingSeconds);
      }
    }
    for (const [name, measured] of times) {
      seconds.set(name, [...(seconds.get(name) ?? []), medianOf(measured)]);
      count(`${numInferenceSteps} steps, ${name}`);
    }
  }
  return [...seconds].map(([name, medians]) => ({ name, points: medians.map((s, i) => [STEPS[i] ?? 0, s]) }));
}

async function line(name: string, xs: readonly number[], measure: (x: number) => Promise<number>): Promise<Line> {
  const points: [number, number][] = [];
  for (const x of xs) points.push([x, await measure(x)]);
  return { name, points };
}
