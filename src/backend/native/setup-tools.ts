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

/** What stands in the way of a set-up, all at once. */
export interface Obstacles {
  /** "g++ (the C++ compiler)" */
  readonly missing: readonly string[];
  /** The command that brings what a package manager can bring. */
  readonly command?: string;
  /** Where it was needed and found. */
  readonly pip?: Pip;
}

/** Looks for everything before anything is downloaded; throws one BackendError for all that is missing. */
export async function requireTools(needs: Needs, signal?: AbortSignal): Promise<Pip | undefined> {
  const { missing, command, pip } = await findObstacles(needs, signal);
  if (missing.length === 0) return pip;
  const install = command ? ` On Debian or Ubuntu: \`${command}\`.` : '';
  throw new BackendError(
    `The native set-up needs ${new Intl.ListFormat('en').format(missing)}.${install} Then run it again.`,
  );
}

export async function findObstacles(needs: Needs, signal?: AbortSignal): Promise<Obstacles> {
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
  return {
    missing,
    ...(packages.length > 0 && { command: `sudo apt install ${packages.join(' ')}` }),
    ...(pip && { pip }),
  };
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
  const free = await freeSpace(folder);
  if (free >= bytes) return undefined;
  return `${size(bytes)} of free disk space for ${folder} (free: ${size(free)})`;
}

/** Bytes that this user may still write on the disk of a folder, which need not exist. */
export async function freeSpace(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(await nearestExisting(folder));
  return bavail * bsize;
}

/** "854 MB", "9.6 GB" */
function size(bytes: number): string {
  return bytes < 2e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
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
