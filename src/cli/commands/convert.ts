import { Command, Option } from 'commander';
import { checkpointPaths } from '../../hub/checkpoint-path.ts';
import { convertCheckpoint, type StorageType } from '../../index.ts';
import { finiteNumber, wholeNumber } from '../arguments.ts';
import { downloading } from '../download-progress.ts';
import { withInterrupt } from '../interrupt.ts';
import { type LayoutOptions, withLayoutOptions } from '../model-options.ts';
import { ProgressLine } from '../progress.ts';

interface ConvertCliOptions extends LayoutOptions {
  readonly out: string;
  readonly dtype: StorageType;
  readonly skipTextEncoder?: boolean;
  readonly force?: boolean;
  readonly defaultSteps?: number;
  readonly defaultCfgScale?: number;
}

export function convertCommand(): Command {
  const command = new Command('convert')
    .description('turn a PyTorch checkpoint into safetensors and a manifest')
    .argument(
      '<from>',
      '.pt, .pth or .safetensors file, diffusers folder, or owner/name on the hub, of a DiT or a PixArt-α',
    )
    .requiredOption('--out <folder>', 'folder to write')
    .addOption(new Option('--dtype <type>', 'storage').choices(['float32', 'float16', 'bfloat16']).default('float16'))
    .option('--skip-text-encoder', 'leave the T5 away, where captions are encoded elsewhere')
    .option('--force', 'replace the folder when it exists')
    .option('--default-steps <n>', 'steps that the checkpoint suggests', wholeNumber)
    .option('--default-cfg-scale <x>', 'guidance scale that the checkpoint suggests', finiteNumber);
  return withLayoutOptions(command).action((from: string, options: ConvertCliOptions) =>
    withInterrupt((signal) => convert(from, options, signal)),
  );
}

async function convert(from: string, options: ConvertCliOptions, signal: AbortSignal): Promise<void> {
  const progress = new ProgressLine('Converting');
  const { defaultSteps, defaultCfgScale } = options;
  try {
    const without = options.skipTextEncoder ? (['text_encoder', 'tokenizer'] as const) : [];
    const found = await downloading(false, (hub) => checkpointPaths(from, { ...options, ...hub, without }));
    const result = await convertCheckpoint({
      ...found.options,
      from: found.path,
      signal,
      defaults: {
        ...(defaultSteps === undefined ? {} : { numInferenceSteps: defaultSteps }),
        ...(defaultCfgScale === undefined ? {} : { guidanceScale: defaultCfgScale }),
      },
      onProgress: ({ doneBytes, totalBytes, tensor }) => progress.update(Math.min(doneBytes / totalBytes, 1), tensor),
    });
    progress.end();
    console.error(`Wrote ${options.out}: ${result.tensors} tensors, ${(result.bytes / 1e6).toFixed(1)} MB`);
    if (result.nonFinite > 0)
      console.error(`Warning: ${result.nonFinite} weights are NaN or infinite, as in the source`);
  } finally {
    progress.end();
  }
}
