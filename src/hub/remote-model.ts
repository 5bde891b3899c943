import type { HubFile } from './listing.ts';
import type { ByteSink } from './receive.ts';

/** What a model has. */
export interface ModelListing {
  /** By their paths, with forward slashes. */
  readonly files: ReadonlyMap<string, HubFile>;
  /** Small files that came with the listing, by their paths. */
  readonly texts: ReadonlyMap<string, string>;
}

/** A model on a server. */
export interface RemoteModel {
  /** As it was named, for errors and progress. */
  readonly where: string;
  /** What to do about a server that has something else than it should. Default: another HF_ENDPOINT. */
  readonly remedy?: string | undefined;
  /** A file, as shown in errors. */
  show(path: string): string;
  /** Asks what there is. @throws HubError with the cause PassingFailure where nobody answers */
  listing(): Promise<ModelListing>;
  /** Fetches into the sink what it lacks of a file, from where it stands. @throws as `receive` */
  fetchFile(file: HubFile, sink: ByteSink): Promise<void>;
}
