import { locate } from '../checkpoint/location.ts';
import type { WantedPart } from './needed-files.ts';
import { hasScheme, isHubReference } from './reference.ts';
import type { CheckpointStore } from './stores/checkpoint-store.ts';
import type { DownloadProgress } from './transfer-meter.ts';

/** Where a model of the hub comes from. What is not given, the environment says, as for Python's huggingface_hub. */
export interface HubOptions {
  /** Branch, tag or commit of a model of the hub. Default `main`. */
  readonly revision?: string | undefined;
  /** For private and gated models. Default: HF_TOKEN, else what `hf auth login` keeps. */
  readonly token?: string | undefined;
  /** Default: HF_HUB_CACHE, else `hub` in HF_HOME, else `~/.cache/huggingface/hub`. */
  readonly cacheDir?: string | undefined;
  /** Default: HF_ENDPOINT, else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** Never ask the network. Default: HF_HUB_OFFLINE. */
  readonly localFilesOnly?: boolean | undefined;
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Stops a download; what has arrived is kept. */
  readonly signal?: AbortSignal | undefined;
  /** Where downloads are kept that go into no cache of the hub: those of URLs, and all of a browser. */
  readonly store?: CheckpointStore | undefined;
  /** Told what works and could work better. Default: console.warn. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

export interface DownloadOptions extends HubOptions {
  /** What of the model is wanted. Default: all that makes pictures. */
  readonly part?: WantedPart | undefined;
  /** Parts that come from elsewhere, which are not downloaded. */
  readonly without?: readonly WantedPart[] | undefined;
}

/** Parts of a checkpoint that come from elsewhere, as paths or models of the hub. */
export type CheckpointPlaces = PartLocations<string>;

/**
 * The path of a checkpoint: a path as it is, where something is there; else of a model of the hub, `owner/name`,
 * `owner/name@revision` or `hf://owner/name/path`, which the cache has or which is downloaded.
 * @throws as `downloadCheckpoint`
 */
export async function checkpointPath(name: string, options: DownloadOptions = {}): Promise<string> {
  if (!isHubReference(name)) return name;
  if (!hasScheme(name) && (await locate(name)).kind !== 'absent') return name;
  const { fromCacheOrHub } = await import('#src/hub/download');
  return fromCacheOrHub(name, options);
}

/**
 * Downloads a model of the hub, or what the cache of Python's huggingface_hub lacks of its newest commit: only the files
 * that a pipeline reads. Goes on where an earlier download was cut, checks every file, and gives the path to open. Needs
 * Node.
 * @param name `owner/name`, `owner/name@revision`, or `hf://owner/name/path` for a file or folder inside
 * @throws OptionError for a name that is none; HubError when the hub does not give it, with what to do; FileError when the
 * disk is too small or may not be written to; CheckpointError when it is no checkpoint that is read; AbortError
 */
export async function downloadCheckpoint(name: string, options: DownloadOptions = {}): Promise<string> {
  const { downloadFromHub } = await import('#src/hub/download');
  return downloadFromHub(name, options);
}

/** The same for a checkpoint and the parts that options name, which are not downloaded with it. */
export async function checkpointPaths<T extends CheckpointPlaces & DownloadOptions>(
  name: string,
  options: T,
): Promise<{ readonly path: string; readonly options: T }> {
  const { found, options: foundToo } = await findWithParts(name, options, checkpointPath);
  return { path: found, options: foundToo };
}

/** Parts of a checkpoint that come from elsewhere, by where that is. */
export interface PartLocations<L> {
  readonly vae?: L | undefined;
  readonly textEncoder?: L | undefined;
  readonly tokenizer?: L | undefined;
}

/**
 * Finds a checkpoint without the parts that options name, and those. A revision is that of the checkpoint alone.
 * @param find gives where one is
 */
export async function findWithParts<L, T extends PartLocations<L> & DownloadOptions>(
  name: L,
  options: T,
  find: (name: L, options: DownloadOptions) => Promise<L>,
): Promise<{ readonly found: L; readonly options: T }> {
  const { vae, textEncoder, tokenizer } = options;
  const given = { vae, text_encoder: textEncoder, tokenizer };
  const elsewhere = (Object.keys(given) as (keyof typeof given)[]).filter((part) => given[part] !== undefined);
  const without = [...(options.without ?? []), ...elsewhere];
  const found = await find(name, { ...options, without });
  const partFound = async (part: keyof typeof given) =>
    given[part] && (await find(given[part], { ...options, revision: undefined, part }));
  const parts = {
    vae: await partFound('vae'),
    textEncoder: await partFound('text_encoder'),
    tokenizer: await partFound('tokenizer'),
  };
  return { found, options: { ...options, ...parts } };
}
