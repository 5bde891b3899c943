import { quoted } from '../checkpoint/quoted.ts';
import { HubError } from '../errors.ts';
import { PassingFailure } from './persist.ts';

/** What a request was for, for the sentence about its failure. */
export interface Asked {
  /** The model, as shown in errors. */
  readonly model: string;
  readonly repo: string;
  readonly revision: string;
  readonly endpoint: string;
  readonly hasToken: boolean;
}

const BUSY = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An answer that is no success, as an error that says what to do; never with what was sent, the token least of all. */
export function refusal(asked: Asked, { status, headers }: Response): Error {
  if (BUSY.has(status)) {
    const what = status === 429 ? 'the hub answers too many requests (429)' : `the hub is out of order (${status})`;
    return new PassingFailure(what, waitOf(headers));
  }
  const code = headers.get('x-error-code');
  const said = headers.get('x-error-message');
  const told = said === null ? '' : `, ${quoted(said)}`;
  return new HubError(`${asked.model}: ${sentence(asked, status, code)} (HTTP ${status}${told})`);
}

function sentence({ repo, revision, endpoint, hasToken }: Asked, status: number, code: string | null): string {
  if (code === 'GatedRepo') {
    const login = hasToken ? 'the account of the token' : 'your account, and log in ("hf auth login", or HF_TOKEN)';
    return `is open only to those who accept its conditions; do so at ${endpoint}/${repo} with ${login}`;
  }
  if (code === 'RevisionNotFound') return `there is no branch, tag or commit "${revision}"; see ${endpoint}/${repo}`;
  if (code === 'EntryNotFound') return `the hub lists a file and does not have it; see ${endpoint}/${repo}`;
  if (status === 401 && hasToken && code !== 'RepoNotFound')
    return `the hub refuses the token; make one at ${endpoint}/settings/tokens and give it as HF_TOKEN`;
  if (status === 403) return 'the token may not read this model; give one that may as HF_TOKEN';
  if (status === 401 || status === 404) {
    const who = hasToken ? 'or the token may not see it' : 'or it is private: log in ("hf auth login", or HF_TOKEN)';
    return `is neither a path here nor a model of ${endpoint}, ${who}; check the name`;
  }
  return `${endpoint} refuses; check HF_ENDPOINT`;
}

/** Retry-After in seconds or as a date, or `t` of the hub's RateLimit header. */
function waitOf(headers: Headers): number | undefined {
  const after = headers.get('retry-after');
  const limit = /;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  const wanted = after ?? limit;
  if (wanted === null || wanted === undefined) return undefined;
  const ms = /^\d+$/.test(wanted) ? Number(wanted) * 1000 : Date.parse(wanted) - Date.now();
  return Number.isFinite(ms) ? Math.max(ms, 0) : undefined;
}
