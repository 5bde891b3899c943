import type { CheckpointLocation } from '../checkpoint/location.ts';
import { type DownloadOptions, findWithParts, type PartLocations } from './checkpoint-path.ts';
import { fromServer } from './from-server.ts';
import { UrlModel } from './url-model.ts';

/**
 * Where a checkpoint is that a user names: what is opened already, as it is; a converted folder by its URL; else as the
 * surroundings read names: paths and models of the hub in Node, relative URLs and models of the hub in a page.
 * @throws as `fromServer`, and as `checkpointPath` in Node
 */
export async function checkpointLocation(
  name: CheckpointLocation,
  options: DownloadOptions = {},
): Promise<CheckpointLocation> {
  if (typeof name !== 'string') return name;
  if (/^https?:\/\//i.test(name)) return fromUrl(name, options);
  const { findNamed } = await import('#src/hub/find-named');
  return findNamed(name, options);
}

/** The same for a checkpoint and the parts that options name, which are not downloaded with it. */
export async function checkpointLocations<T extends PartLocations<CheckpointLocation> & DownloadOptions>(
  name: CheckpointLocation,
  options: T,
): Promise<{ readonly found: CheckpointLocation; readonly options: T }> {
  return findWithParts(name, options, checkpointLocation);
}

/** A converted folder on a web server. */
export function fromUrl(url: string, options: DownloadOptions): Promise<CheckpointLocation> {
  const { onWarning = console.warn } = options;
  return fromServer((signal) => new UrlModel(url, { signal, onWarning }), '', options);
}
