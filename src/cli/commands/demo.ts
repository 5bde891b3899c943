import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { getBackend } from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { deltaDiT, encodePng, type Painter, type PixelImage, type SubjectKind, type WeightDtype } from '../../index.ts';
import { decodeEach } from '../../pipelines/decode.ts';
import { allToPixels } from '../../pipelines/image.ts';
import { compared } from '../compare.ts';
import { labelledSheet, stacked } from '../demo-sheet.ts';
import { withInterrupt } from '../interrupt.ts';
import { withDtypeOption } from '../model-options.ts';
import { openPainter } from '../open-painter.ts';
import { packageFolder } from '../package-folder.ts';
import { checkOutput, writeWhole } from '../pictures.ts';
import { duration } from '../progress.ts';
import { type Job, runJobs } from '../run-jobs.ts';

interface DemoOptions {
  readonly output: string;
  readonly dtype?: WeightDtype;
}

/** A shipped model and what is shown of it, best first. */
interface Shown {
  readonly model: string;
  readonly kind: SubjectKind;
  readonly subjects: readonly string[];
  /** Columns without native code, so that all of them take about a minute. */
  readonly columns: number;
  readonly draw: (painter: Painter, jobs: readonly Job[], signal: AbortSignal) => Promise<readonly Row[]>;
}

type Row = readonly [name: string, pictures: readonly PixelImage[]];

const PROMPTS = [
  'a red apple',
  'a blue heart',
  'slice of pizza',
  'cat face',
  'a red car',
  'penguin',
  'strawberry',
  'rainbow',
];
const SHOWN: readonly Shown[] = [
  {
    model: 'dit-emoji',
    kind: 'class',
    subjects: ['heart', 'clock', 'cat face', 'monkey face', 'medal', 'book', 'person', 'cloud'],
    columns: 4,
    draw: uncachedAndCached,
  },
  { model: 'pixart-emoji', kind: 'prompt', subjects: PROMPTS, columns: 2, draw: uncachedAndCached },
  { model: 'pixart-emoji-lcm', kind: 'prompt', subjects: PROMPTS, columns: 4, draw: everyStep },
];
const SEED = 7;

export function demoCommand(): Command {
  const command = new Command('demo').description(
    'pictures of the shipped models, uncached and with Δ-DiT, in one sheet',
  );
  return withDtypeOption(command)
    .option('-o, --output <file>', 'PNG file', 'demo.png')
    .action((options: DemoOptions) => withInterrupt((signal) => demo(options, signal)));
}

async function demo({ output, dtype }: DemoOptions, signal: AbortSignal): Promise<void> {
  await checkOutput(output, true);
  const sheets: PixelImage[] = [];
  for (const { model, kind, subjects, columns, draw } of SHOWN) {
    // the text-to-image models are in the repository alone
    if (!existsSync(join(packageFolder(), 'checkpoints', model, 'manifest.json'))) continue;
    const painter = await openPainter({ model, quiet: sheets.length > 0, ...(dtype && { dtype }) }, kind);
    const shown = getBackend() === 'tensorflow' ? subjects : subjects.slice(0, columns);
    const jobs = shown.map((subject) => ({ subject, seed: SEED }));
    console.log(`${model}: ${shown.join(', ')}`);
    try {
      sheets.push(await labelledSheet(shown, await draw(painter, jobs, signal)));
    } finally {
      painter.pipe.dispose();
    }
  }
  await writeWhole(output, await encodePng(await stacked(sheets)));
  console.log(`Wrote ${output}`);
}

async function uncachedAndCached(painter: Painter, jobs: readonly Job[], signal: AbortSignal): Promise<readonly Row[]> {
  const settings = { numInferenceSteps: 20, guidanceScale: undefined, quiet: false, signal };
  const { uncached, cached } = await compared(painter, jobs, deltaDiT(), settings);
  const [before, after] = [uncached.report.samplingSeconds, cached.report.samplingSeconds];
  console.log(
    `${jobs.length} pictures in 20 steps: ${duration(before)} uncached, ${duration(after)} with Δ-DiT: ${(before / after).toFixed(2)}× faster.`,
  );
  return [
    ['uncached', uncached.images],
    ['Delta-DiT', cached.images],
  ];
}

/** What a distilled model makes of its four steps: after each, the picture as it is seen then. */
async function everyStep(painter: Painter, jobs: readonly Job[], signal: AbortSignal): Promise<readonly Row[]> {
  const { vae, numerics } = painter.pipe;
  const rows: Row[] = [];
  const { report } = await runJobs(painter, jobs, {
    ...{ numInferenceSteps: 4, guidanceScale: undefined, quiet: false, batchSize: jobs.length, signal },
    onStep: async ({ step, xStart }) => {
      const { images } = await decodeEach(vae, xStart(), signal);
      rows.push([`step ${step + 1} of 4`, await allToPixels(images, numerics)]);
    },
  });
  console.log(`${jobs.length} pictures in 4 steps: ${duration(report.samplingSeconds)}.`);
  return rows;
}
