import { existsSync } from 'node:fs';
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackendError } from '../../errors.ts';
import { TFJS_VERSION } from '../backends/backend.ts';
import { isCheckout, ownFolder } from './own-package.ts';
import { runTool, tellingLine } from './run-tool.ts';
import type { ReportProgress } from './setup-progress.ts';
import type { NativeRecipe } from './setup-wheels.ts';
import { findTfjsNode, type TfjsNodePackage } from './tfjs-node-package.ts';

type NpmName = NativeRecipe['npmPackage'];

/** The tfjs-node whose native part is to be set up, or undefined where none is installed. */
export function targetPackage(name: NpmName, userFolder: string): TfjsNodePackage | undefined {
  const found = findTfjsNode(userFolder).find((candidate) => candidate.name === name);
  if (found && found.version !== TFJS_VERSION) {
    throw new BackendError(
      `${name} in ${found.folder} is version ${found.version}, and delta-dit needs ${TFJS_VERSION}. ` +
        `Run \`npm install --ignore-scripts ${spec(name)}\`, then the set-up again.`,
    );
  }
  return found;
}

interface Place {
  readonly folder: string;
  readonly options: readonly string[];
  readonly as: string;
}

/** Installs tfjs-node without its install script, which would download another TensorFlow. */
export async function installTfjsNode(
  name: NpmName,
  userFolder: string,
  report: ReportProgress,
  signal?: AbortSignal,
): Promise<TfjsNodePackage> {
  const { folder, options, as } = placeToInstall(name, ownFolder());
  report({ message: `installing ${spec(name)} in ${folder} ${as}, without its install script` });
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...options, spec(name)];
  const run = await runTool('npm', args, { cwd: folder, signal });
  const installed = run.ok ? targetPackage(name, userFolder) : undefined;
  if (installed) return installed;
  const reason = run.ok ? 'it is not found afterwards' : tellingLine(run);
  throw new BackendError(
    `npm could not install ${spec(name)} in ${folder} (${reason}). ` +
      'Install it yourself with scripts off, then run the set-up again.',
  );
}

/**
 * A project that lists this library gets tfjs-node as an optional dependency: npm removes unlisted packages at the next
 * install, and a required one would fail `npm ci` wherever its own download is out of reach. A global installation and a
 * checkout list nothing, so tfjs-node goes inside the library.
 */
function placeToInstall(name: NpmName, own: string | undefined): Place {
  if (own === undefined) {
    throw new BackendError(`This copy of delta-dit lies in no package. Run \`npm install ${spec(name)}\` yourself.`);
  }
  if (own.includes('/.pnpm/')) {
    throw new BackendError(
      `${name} is not installed. Run \`pnpm add --ignore-scripts ${spec(name)}\`, then the set-up again.`,
    );
  }
  // Without --save-prod npm takes it for the optional peer that it is for us, and installs nothing.
  const unlisted = ['--save-prod', '--no-save', '--no-package-lock'];
  if (isCheckout(own)) return { folder: own, options: unlisted, as: 'for this checkout' };
  const project = dirname(dirname(own));
  const isListed = existsSync(join(project, 'package.json'));
  if (isListed) {
    return { folder: project, options: ['--save-optional', '--save-exact'], as: 'as an optional dependency' };
  }
  return { folder: own, options: [...unlisted, '--omit=dev'], as: 'for the global installation' };
}

/** Points the package at the finished native part; replaces what is there in one step. */
export async function linkAddon({ addon }: TfjsNodePackage, target: string): Promise<void> {
  await mkdir(dirname(addon), { recursive: true });
  const fresh = `${addon}.${process.pid}`;
  await rm(fresh, { force: true });
  await symlink(target, fresh);
  await rename(fresh, addon);
}

function spec(name: NpmName): string {
  return `${name}@${TFJS_VERSION}`;
}
