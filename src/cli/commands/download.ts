import { Command } from 'commander';
import { downloadCheckpoint } from '../../index.ts';
import { downloading } from '../download-progress.ts';

interface DownloadCliOptions {
  readonly revision?: string;
  readonly skipTextEncoder?: boolean;
  readonly cacheDir?: string;
  readonly quiet?: boolean;
}

export function downloadCommand(): Command {
  return new Command('download')
    .description('download a model of the Hugging Face hub, or what the cache lacks of it, and print its path')
    .argument('<model>', 'owner/name, owner/name@revision, or hf://owner/name/path for a file or folder inside')
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .option('--skip-text-encoder', 'leave the T5 and its tokenizer away, where captions are encoded elsewhere')
    .option('--cache-dir <folder>', 'where models are kept (default: HF_HUB_CACHE, as Python’s huggingface_hub)')
    .option('-q, --quiet', 'print the path and errors only')
    .addHelpText('after', ENVIRONMENT)
    .action(download);
}

const ENVIRONMENT = `
Reads HF_HOME, HF_HUB_CACHE, HF_TOKEN (or what "hf auth login" keeps), HF_ENDPOINT, HF_HUB_OFFLINE.
A download that was stopped goes on where it was.`;

async function download(model: string, options: DownloadCliOptions): Promise<void> {
  const { revision, skipTextEncoder, cacheDir, quiet } = options;
  const without = skipTextEncoder ? (['text_encoder', 'tokenizer'] as const) : [];
  const path = await downloading(quiet, (hub) => downloadCheckpoint(model, { ...hub, revision, cacheDir, without }));
  console.log(path);
}
