import { OptionError } from '../errors.ts';

/** A model on the hub. */
export interface HubReference {
  /** `owner/name` */
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** A file or folder inside; empty for all of it. */
  readonly path: string;
}

export const DEFAULT_REVISION = 'main';

const SCHEME = 'hf://';
/** `owner/name`, then `@revision`; with the scheme also a path inside, as huggingface_hub writes it. */
const PLAIN = /^([\w.-]+\/[\w.-]+)(?:@(.+))?$/;
const WITH_SCHEME = /^hf:\/\/(?:models\/)?([\w.-]+\/[\w.-]+)(?:@([^/]+))?(?:\/(.+?))?\/?$/;

/** Whether a name may mean a model on the hub: `owner/name`, `owner/name@revision`, `hf://owner/name/path`. */
export function isHubReference(name: string): boolean {
  return hasScheme(name) || (PLAIN.test(name) && !/^\.{1,2}\//.test(name));
}

/** A name with the scheme means the hub whatever folders there are. */
export function hasScheme(name: string): boolean {
  return name.startsWith(SCHEME);
}

/**
 * @param revision for names that carry none; default `main`
 * @throws OptionError for a name that is none, or is told two revisions
 */
export function parseReference(name: string, revision?: string): HubReference {
  const [, repo, own, path = ''] = (hasScheme(name) ? WITH_SCHEME : PLAIN).exec(name) ?? [];
  if (repo === undefined || !isRepoName(repo) || (path !== '' && !isSafePath(path))) {
    throw new OptionError(
      `${name}: expected owner/name of a model on the hub, or hf://owner/name/path of what is in it`,
    );
  }
  if (own !== undefined && revision !== undefined && own !== revision)
    throw new OptionError(`${name}: names its revision, and ${revision} is given too; give one`);
  const given = own ?? revision ?? DEFAULT_REVISION;
  if (!isSafePath(given)) throw new OptionError(`${name}: expected a branch, tag or commit, got "${given}"`);
  return { repo, revision: given, path };
}

/** Shown in errors. */
export function showReference({ repo, revision, path }: HubReference): string {
  return `${repo}${revision === DEFAULT_REVISION ? '' : `@${revision}`}${path === '' ? '' : `/${path}`}`;
}

/** The hub's own rule: `--` and `..` stand in no name, because `--` parts names in the cache. */
function isRepoName(repo: string): boolean {
  return repo.split('/').every((part) => !/--|\.\.|^[.-]|[.-]$/.test(part) && part.length <= 96);
}

/** Whether a path leads to something below the folder that it is relative to, on every system. */
export function isSafePath(path: string): boolean {
  return !/[\0-\x1f\\:]/.test(path) && path.split('/').every((part) => !['', '.', '..'].includes(part));
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
