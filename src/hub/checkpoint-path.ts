import type { WantedPart } from './needed-files.ts';
import { hasScheme, isHubReference } from './reference.ts';
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
}

export interface DownloadOptions extends HubOptions {
  /** What of the model is wanted. Default: all that makes pictures. */
  readonly part?: WantedPart | undefined;
  /** Parts that come from elsewhere, which are not downloaded. */
  readonly without?: readonly WantedPart[] | undefined;
}

/** A checkpoint, and what of it comes from elsewhere. */
export interface CheckpointPlaces {
  readonly vae?: string | undefined;
  readonly textEncoder?: string | undefined;
  readonly tokenizer?: string | undefined;
}

/**
 * The path of a checkpoint: a path as it is, where something is there; else of a model of the hub, `owner/name`,
 * `owner/name@revision` or `hf://owner/name/path`, which the cache has or which is downloaded.
 * @throws as `downloadCheckpoint`
 */
export async function checkpointPath(name: string, options: DownloadOptions = {}): Promise<string> {
  if (!isHubReference(name)) return name;
  const { pathKind } = await import('../checkpoint/node-folder.ts');
  if (!hasScheme(name) && (await pathKind(name)) !== 'absent') return name;
  const { fromCacheOrHub } = await import('./download.ts');
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
  const { downloadFromHub } = await import('./download.ts');
  return downloadFromHub(name, options);
}

/**
 * The same for a checkpoint and the parts that options name, which are not downloaded with it. A revision is that of the
 * checkpoint alone.
 */
export async function checkpointPaths<T extends CheckpointPlaces & DownloadOptions>(
  name: string,
  options: T,
): Promise<{ readonly path: string; readonly options: T }> {
  const { vae, textEncoder, tokenizer } = options;
  const given = { vae, text_encoder: textEncoder, tokenizer };
  const elsewhere = (Object.keys(given) as (keyof typeof given)[]).filter((part) => given[part] !== undefined);
  const without = [...(options.without ?? []), ...elsewhere];
  const path = await checkpointPath(name, { ...options, without });
  const partPath = async (part: keyof typeof given) =>
    given[part] && (await checkpointPath(given[part], { ...options, revision: undefined, part }));
  const parts = {
    vae: await partPath('vae'),
    textEncoder: await partPath('text_encoder'),
    tokenizer: await partPath('tokenizer'),
  };
  return { path, options: { ...options, ...parts } };
}
