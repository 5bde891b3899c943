import { blobSource } from '../checkpoint/blob-source.ts';
import { checksumOf } from '../checkpoint/checksum.ts';
import type { HubFile } from './listing.ts';
import type { ModelListing } from './remote-model.ts';
import type { CheckpointStore } from './stores/checkpoint-store.ts';

/** What is kept of a listing beside the files, for when nobody may or can be asked. */
interface Remembered {
  readonly files: readonly HubFile[];
  readonly texts: readonly (readonly [string, string])[];
}

/** Keeps what a model has, once all of it that is needed is there. */
export async function rememberListing(
  store: CheckpointStore,
  where: string,
  { files, texts }: ModelListing,
): Promise<void> {
  const remembered: Remembered = { files: [...files.values()], texts: [...texts] };
  const bytes = new TextEncoder().encode(JSON.stringify(remembered));
  await store.write(await keyOf(where), bytes);
}

export async function recallListing(store: CheckpointStore, where: string): Promise<ModelListing | undefined> {
  const source = await store.read(await keyOf(where));
  if (!source) return undefined;
  const text = new TextDecoder().decode(await source.read(0, source.size));
  await source.close();
  const { files, texts }: Remembered = JSON.parse(text);
  return { files: new Map(files.map((file) => [file.path, file])), texts: new Map(texts) };
}

async function keyOf(where: string): Promise<string> {
  return `${await checksumOf(blobSource(new Blob([where]), where), 'sha256')}.listing`;
}
