import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface HubSettings {
  readonly endpoint: string;
  /** The folder of all models. */
  readonly cacheDir: string;
  readonly token: string | undefined;
  readonly offline: boolean;
  /** Without, snapshots have the files themselves, as huggingface_hub does it on disks that have no links. */
  readonly symlinks: boolean;
}

const ENDPOINT = 'https://huggingface.co';
/** What huggingface_hub takes as yes. */
const YES = new Set(['1', 'ON', 'YES', 'TRUE']);

/** What the caller gives, else the environment, as Python's huggingface_hub reads it. Loaded by dynamic import. */
export async function hubSettings(
  given: { [key in keyof HubSettings]?: HubSettings[key] | undefined },
  env: NodeJS.ProcessEnv = process.env,
): Promise<HubSettings> {
  const home = expanded(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'), env);
  const cache = env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, 'hub');
  return {
    endpoint: (given.endpoint || env.HF_ENDPOINT || ENDPOINT).replace(/\/+$/, ''),
    cacheDir: expanded(given.cacheDir ?? cache, env),
    token: given.token ?? (await tokenOf(home, env)),
    offline: given.offline ?? isYes(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    symlinks: given.symlinks ?? !isYes(env.HF_HUB_DISABLE_SYMLINKS),
  };
}

/** HF_TOKEN, else the file that `hf auth login` writes. */
async function tokenOf(home: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const own = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  const file = expanded(env.HF_TOKEN_PATH || join(home, 'token'), env);
  const token = own ?? (await readFile(file, 'utf8').catch(() => ''));
  return token.trim() || undefined;
}

function isYes(value: string | undefined): boolean {
  return YES.has((value ?? '').toUpperCase());
}

/** `~` and `$NAME`, which no shell has replaced in a variable. */
function expanded(path: string, env: NodeJS.ProcessEnv): string {
  return path
    .replace(/^~(?=$|[/\\])/, homedir())
    .replace(/\$(?:(\w+)|\{(\w+)\})/g, (whole, plain, braced) => env[plain ?? braced] ?? whole);
}
