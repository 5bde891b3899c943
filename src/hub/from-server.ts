import type { CheckpointLocation } from '../checkpoint/location.ts';
import { HubError } from '../errors.ts';
import type { DownloadOptions } from './checkpoint-path.ts';
import { keepModel } from './keep-model.ts';
import { PassingFailure } from './persist.ts';
import { recallListing, rememberListing } from './remembered-listings.ts';
import type { ModelListing, RemoteModel } from './remote-model.ts';
import type { CheckpointStore } from './stores/checkpoint-store.ts';

/**
 * A model of a server as the file or folder that is opened: asked what it has, and downloaded where the store lacks it.
 * Where nobody answers, what an earlier visit kept.
 * @param connect gives the model; its downloads end with the signal @param path inside the model; empty for all
 * @throws as `keepModel`
 */
export async function fromServer(
  connect: (signal: AbortSignal) => RemoteModel,
  path: string,
  options: DownloadOptions,
): Promise<CheckpointLocation> {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const remote = connect(signal);
  const store = options.store ?? (await defaultStore());
  const { listing, isAsked } = await listingOf(remote, store, options);
  const { part = 'pipeline', without = [] } = options;
  const location = await keepModel(
    isAsked ? remote : silent(remote, store),
    listing,
    store,
    { path, part, without },
    {
      onDownload: options.onDownload,
      signal,
      stop: () => stop.abort(),
    },
  );
  if (isAsked) await rememberListing(store, remote.where, listing);
  return location;
}

async function defaultStore(): Promise<CheckpointStore> {
  const { openDefaultStore } = await import('#src/hub/stores/default-store');
  return openDefaultStore();
}

async function listingOf(
  remote: RemoteModel,
  store: CheckpointStore,
  { localFilesOnly, onWarning = console.warn }: DownloadOptions,
): Promise<{ readonly listing: ModelListing; readonly isAsked: boolean }> {
  if (localFilesOnly) {
    const listing = await recallListing(store, remote.where);
    if (listing) return { listing, isAsked: false };
    throw new HubError(`${remote.where}: is not in ${store.name}, and localFilesOnly is set; load it once without`);
  }
  try {
    return { listing: await remote.listing(), isAsked: true };
  } catch (error) {
    const isUnreachable = error instanceof HubError && error.cause instanceof PassingFailure;
    const listing = isUnreachable ? await recallListing(store, remote.where) : undefined;
    if (!listing) throw error;
    onWarning(`${(error as HubError).message}. What an earlier visit kept of it is used.`);
    return { listing, isAsked: false };
  }
}

/** The same without its server. */
function silent(remote: RemoteModel, store: CheckpointStore): RemoteModel {
  return {
    where: remote.where,
    show: (path) => remote.show(path),
    listing: () => remote.listing(),
    fetchFile: async ({ path }) => {
      throw new HubError(`${remote.show(path)}: is not in ${store.name}, and the server is not asked; load it again`);
    },
  };
}
