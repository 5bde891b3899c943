import { Command } from 'commander';
import { openFeatureExtractor } from '../../index.ts';
import { findModel } from '../find-model.ts';
import { withInterrupt } from '../interrupt.ts';
import { type FolderComparison, measureFolders } from '../measure-folders.ts';
import { metricsTable } from '../metrics-report.ts';
import { type BackendCliOptions, startBackend, withBackendOptions } from '../model-options.ts';
import { type PictureFolder, pictureFolder } from '../picture-folders.ts';
import { ProgressLine } from '../progress.ts';

/** The classifier that is shipped. */
const DEFAULT_FEATURES = 'emoji-classifier';

interface MetricsCliOptions extends BackendCliOptions {
  readonly features: string | false;
  readonly unpaired?: boolean;
  readonly json?: boolean;
}

export function metricsCommand(): Command {
  const command = new Command('metrics')
    .description('compare a folder of pictures with a folder of reference pictures, such as cached ones with uncached')
    .argument('<reference>', 'folder of PNG and JPEG pictures')
    .argument('<pictures>', 'another; same names are pairs, else the first belongs to the first')
    .option('--unpaired', 'compare the folders as wholes only')
    .option(
      '--features <name>',
      'image classifier for Inception Score, agreement and Fréchet distance: its folder, or the name of a shipped one',
      DEFAULT_FEATURES,
    )
    .option('--no-features', 'leave these out');
  return withBackendOptions(command)
    .option('--json', 'print JSON')
    .action((reference: string, pictures: string, options: MetricsCliOptions) =>
      withInterrupt((signal) => metrics(reference, pictures, options, signal)),
    );
}

async function metrics(
  reference: string,
  pictures: string,
  options: MetricsCliOptions,
  signal: AbortSignal,
): Promise<void> {
  const folders = [await pictureFolder(reference), await pictureFolder(pictures)] as const;
  const comparison = await compare(folders, options, signal);
  if (!options.quiet) {
    const others = folders.filter((folder) => folder.others > 0);
    for (const { folder, others: count } of others)
      console.error(
        `${folder}: left out ${count === 1 ? '1 file that is no picture' : `${count} files that are no pictures`}`,
      );
    for (const warning of comparison.warnings) console.error(`warning: ${warning}`);
  }
  console.log(options.json ? JSON.stringify(comparison, null, 1) : metricsTable(comparison));
}

async function compare(
  [reference, pictures]: readonly [PictureFolder, PictureFolder],
  options: MetricsCliOptions,
  signal: AbortSignal,
): Promise<FolderComparison> {
  const { features, unpaired = false, quiet } = options;
  const path = features === false ? undefined : await findModel(features, { quiet, flag: '--features' });
  if (path !== undefined) await startBackend(options);
  const extractor = path === undefined ? undefined : await openFeatureExtractor(path);
  const progress = quiet ? undefined : new ProgressLine('Measuring');
  try {
    const onProgress = (done: number, what: string) => progress?.update(done, what);
    return await measureFolders(reference, pictures, { unpaired, extractor, onProgress, signal });
  } finally {
    progress?.end();
    extractor?.dispose();
  }
}
