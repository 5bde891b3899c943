import { access, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BackendError } from '../../errors.ts';
import { runTool } from './run-tool.ts';

/** How pip is called here: program and first arguments. */
export type Pip = readonly [program: string, ...args: string[]];

export interface Needs {
  readonly npm: boolean;
  readonly pip: boolean;
  readonly compiler: boolean;
  /** Free bytes, and the folder (it need not exist) that is going to hold them. */
  readonly space: { readonly folder: string; readonly bytes: number };
}

/** Looks for everything before anything is downloaded; throws one BackendError for all that is missing. */
export async function requireTools(needs: Needs, signal?: AbortSignal): Promise<Pip | undefined> {
  const missing: string[] = [];
  const packages: string[] = [];
  const miss = (what: string, debianPackage: string) => {
    missing.push(what);
    packages.push(debianPackage);
  };
  const pip = needs.pip ? await findPip(signal) : undefined;
  if (needs.npm && !(await isOnPath('npm', signal))) miss('npm', 'npm');
  if (needs.pip && !pip) miss('pip (the installer of Python packages)', 'python3-pip');
  if (needs.compiler && !(await isOnPath('g++', signal))) miss('g++ (the C++ compiler)', 'g++');
  const lack = await lackOfSpace(needs.space);
  if (lack) missing.push(lack);
  if (missing.length === 0) return pip;
  const install = packages.length > 0 ? ` On Debian or Ubuntu: \`sudo apt install ${packages.join(' ')}\`.` : '';
  throw new BackendError(
    `The native set-up needs ${new Intl.ListFormat('en').format(missing)}.${install} Then run it again.`,
  );
}

const PIPS: readonly Pip[] = [['python3', '-m', 'pip'], ['pip3'], ['pip']];

async function findPip(signal: AbortSignal | undefined): Promise<Pip | undefined> {
  for (const pip of PIPS) {
    const [program, ...args] = pip;
    if ((await runTool(program, [...args, '--version'], { signal })).ok) return pip;
  }
  return undefined;
}

async function isOnPath(program: string, signal: AbortSignal | undefined): Promise<boolean> {
  return (await runTool(program, ['--version'], { signal })).ok;
}

async function lackOfSpace({ folder, bytes }: Needs['space']): Promise<string | undefined> {
  const { bavail, bsize } = await statfs(await nearestExisting(folder));
  const free = bavail * bsize;
  if (free >= bytes) return undefined;
  return `${megabytes(bytes)} of free disk space for ${folder} (free: ${megabytes(free)})`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

async function nearestExisting(folder: string): Promise<string> {
  try {
    await access(folder);
    return folder;
  } catch {
    const parent = dirname(folder);
    return parent === folder ? folder : nearestExisting(parent);
  }
}
