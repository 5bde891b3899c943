import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { TorchStart } from '../lab/bench-torch.ts';
import { packageFolder } from './package-folder.ts';

export interface TorchCliOptions {
  readonly against?: 'pytorch';
  readonly python: string;
}

/** @param diffusersFor what diffusers is needed for */
export function withTorchOptions(command: Command, diffusersFor: string): Command {
  return command
    .addOption(new Option('--against <rival>', 'the same weights and inputs there, in turn').choices(['pytorch']))
    .option('--python <python>', `that has torch, and diffusers ${diffusersFor}`, 'python3');
}

/**
 * Runs beside the rival that is asked for, and ends it.
 * @param start starts it, with a folder for its files @param use is given undefined where none is asked for
 */
export async function besideTorch<R extends { end(): void }, T>(
  { against, python }: TorchCliOptions,
  start: (torch: TorchStart, folder: string) => Promise<R>,
  use: (rival: R | undefined) => Promise<T>,
): Promise<T> {
  if (!against) return use(undefined);
  const folder = await mkdtemp(join(tmpdir(), 'delta-dit-bench-'));
  const script = join(packageFolder(), 'src', 'lab', 'pytorch', 'bench.py');
  try {
    const rival = await start({ python, script, threads: availableParallelism() }, folder);
    return await use(rival).finally(() => rival.end());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
