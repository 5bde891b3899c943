import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackendError } from '../../errors.ts';
import { runTool, tellingLine } from './run-tool.ts';
import { type NativeCache, wheelFile } from './setup-cache.ts';
import { byteProgress, type ReportProgress } from './setup-progress.ts';
import type { Pip } from './setup-tools.ts';
import type { NativeRecipe, Wheel } from './setup-wheels.ts';

export interface WheelDownloads {
  readonly recipe: NativeRecipe;
  readonly cache: NativeCache;
  readonly pip: Pip;
  /** Folder of this run alone, on the same disk as the cache. */
  readonly workFolder: string;
  readonly report: ReportProgress;
  readonly signal?: AbortSignal | undefined;
}

/** The wheels that are still to be downloaded. */
export function missingWheels(recipe: NativeRecipe, cache: NativeCache): Wheel[] {
  return recipe.wheels.filter((wheel) => !existsSync(wheelFile(cache, wheel)));
}

/** Lets pip fetch what is missing, which checks hashes and follows the user's mirrors and proxies. */
export async function downloadWheels(run: WheelDownloads): Promise<void> {
  const { recipe, cache } = run;
  for (const wheel of missingWheels(recipe, cache)) await downloadWheel(wheel, run);
}

async function downloadWheel(wheel: Wheel, run: WheelDownloads): Promise<void> {
  const { recipe, cache, pip, workFolder, report, signal } = run;
  const [arrived, passing] = [join(workFolder, 'wheel'), join(workFolder, 'pip')];
  for (const folder of [arrived, passing]) await mkdir(folder, { recursive: true });
  const name = `${wheel.package} ${wheel.version}`;
  const count = recipe.wheels.length;
  const position = count > 1 ? ` (${recipe.wheels.indexOf(wheel) + 1} of ${count})` : '';
  const progress = byteProgress(`downloading ${name}${position}`, wheel.downloadSize, report);
  progress(0);
  // pip shows progress to terminals only; the file that grows in its temporary folder tells the same to us.
  const timer = setInterval(() => void sizeBelow(passing).then(progress), 500);
  try {
    const [program, ...args] = pip;
    const download = await runTool(program, [...args, ...downloadArguments(recipe, wheel, arrived)], {
      env: { TMPDIR: passing, ...RESUMING },
      signal,
    });
    if (!download.ok) {
      throw new BackendError(
        `pip could not download ${name} (${tellingLine(download)}). Check the network and pip's index (\`pip config list\`), then run the set-up again; pip 25.1 and newer go on where a connection broke off.`,
      );
    }
  } finally {
    clearInterval(timer);
  }
  const file = (await readdir(arrived)).find((entry) => entry.endsWith('.whl'));
  if (!file)
    throw new BackendError(
      `pip said that it downloaded ${name}, but left no wheel in ${arrived}. Run the set-up again.`,
    );
  await mkdir(cache.wheels, { recursive: true });
  await rename(join(arrived, file), wheelFile(cache, wheel));
  await rm(arrived, { recursive: true, force: true });
}

/**
 * Goes on with a connection that broke off, instead of failing: pip 25.1 can, 25.2 and newer do it five times anyway.
 * An older pip ignores it, where an option of that name would be an error.
 */
const RESUMING = { PIP_RESUME_RETRIES: '20' };

function downloadArguments({ python, platforms }: NativeRecipe, wheel: Wheel, folder: string): string[] {
  return [
    'download',
    '--no-deps',
    '--only-binary=:all:',
    ...platforms.map((platform) => `--platform=${platform}`),
    '--implementation=cp',
    `--python-version=${python}`,
    `--abi=cp${python.replace('.', '')}`,
    // The wheel is kept until it is unpacked and then never needed again.
    '--no-cache-dir',
    '--disable-pip-version-check',
    `--dest=${folder}`,
    `${wheel.package}==${wheel.version}`,
  ];
}

async function sizeBelow(folder: string): Promise<number> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch {
    // pip has just moved the file away.
    return 0;
  }
}
