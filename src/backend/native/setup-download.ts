import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackendError } from '../../errors.ts';
import { runTool, tellingLine } from './run-tool.ts';
import type { TensorFlowWheel } from './setup-platform.ts';
import { byteProgress, type ReportProgress } from './setup-progress.ts';
import type { Pip } from './setup-tools.ts';

export interface WheelDownload {
  readonly wheel: TensorFlowWheel;
  readonly pip: Pip;
  /** Folder of this run alone, on the same disk as `target`. */
  readonly workFolder: string;
  /** The file that exists once the wheel is whole. */
  readonly target: string;
  readonly report: ReportProgress;
  readonly signal?: AbortSignal | undefined;
}

/** Lets pip fetch the wheel, which checks its hash and follows the user's mirrors and proxies. */
export async function downloadWheel({ wheel, pip, workFolder, target, report, signal }: WheelDownload): Promise<void> {
  const [arrived, passing] = [join(workFolder, 'wheel'), join(workFolder, 'pip')];
  await mkdir(arrived, { recursive: true });
  await mkdir(passing, { recursive: true });
  const name = `${wheel.package} ${wheel.version}`;
  const progress = byteProgress(`downloading ${name}`, wheel.downloadSize, report);
  progress(0);
  // pip shows progress to terminals only; the file that grows in its temporary folder tells the same to us.
  const timer = setInterval(() => void sizeBelow(passing).then(progress), 500);
  try {
    const [program, ...args] = pip;
    const run = await runTool(program, [...args, ...downloadArguments(wheel, arrived)], {
      env: { TMPDIR: passing },
      signal,
    });
    if (!run.ok) {
      throw new BackendError(
        `pip could not download ${name} (${tellingLine(run)}). Check the network and pip's index (\`pip config list\`), then run the set-up again.`,
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
  await rename(join(arrived, file), target);
}

function downloadArguments(wheel: TensorFlowWheel, folder: string): string[] {
  const python = wheel.python;
  return [
    'download',
    '--no-deps',
    '--only-binary=:all:',
    `--platform=${wheel.platform}`,
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
