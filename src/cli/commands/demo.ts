import { getBackend } from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { type DiTPipeline, deltaDiT } from '../../index.ts';
import { compared } from '../compare.ts';
import { labelledSheet } from '../demo-sheet.ts';
import { openPipeline } from '../model-options.ts';
import { checkOutput, encodePng, writeWhole } from '../pictures.ts';
import { duration } from '../progress.ts';

/** What the demo shows, best first. */
const SHOWN = ['heart', 'clock', 'cat face', 'monkey face', 'medal', 'book', 'person', 'cloud'];
const SEED = 7;

interface DemoOptions {
  readonly output: string;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description('pictures of the shipped model, uncached and with Δ-DiT, in one sheet')
    .option('-o, --output <file>', 'PNG file', 'demo.png')
    .action((options: DemoOptions) => demo(options));
}

async function demo({ output }: DemoOptions): Promise<void> {
  await checkOutput(output, true);
  const pipe = await openPipeline({ model: 'dit-emoji' });
  try {
    await draw(pipe, output);
  } finally {
    pipe.dispose();
  }
}

async function draw(pipe: DiTPipeline, output: string): Promise<void> {
  const policy = deltaDiT();
  // without native code half the sheet keeps the wait under a minute
  const labels = getBackend() === 'tensorflow' ? SHOWN : SHOWN.slice(0, 4);
  const jobs = labels.map((label) => ({ label, seed: SEED }));
  const { uncached, cached } = await compared(pipe, jobs, policy, {
    numInferenceSteps: 20,
    guidanceScale: undefined,
    quiet: false,
  });
  await writeWhole(
    output,
    await encodePng(
      await labelledSheet(labels, [
        ['uncached', uncached.images],
        ['Delta-DiT', cached.images],
      ]),
      {},
    ),
  );
  const [before, after] = [uncached.report.samplingSeconds, cached.report.samplingSeconds];
  console.log(
    `${labels.length} pictures in 20 steps: ${duration(before)} uncached, ${duration(after)} with Δ-DiT: ${(before / after).toFixed(2)}× faster.`,
  );
  console.log(`Wrote ${output}`);
}
