import { FormatError } from '../errors.ts';
import { assertPlainFileName } from './file-names.ts';
import { quoted } from './quoted.ts';
import type { StoredTensor, TensorArchive } from './stored-tensor.ts';
import { isJsonObject, parseStrictJson } from './strict-json.ts';

/** Every shard is kept open; released models have at most some dozens. */
const MAX_SHARDS = 1_000;
/** How many names an error lists before it only counts. */
const LISTED = 10;

/**
 * A checkpoint in several files, held together by an index `{weight_map: {tensor: file}}` (the
 * `*.safetensors.index.json` and `*.bin.index.json` of Hugging Face folders).
 * @param name shown in errors: the path of the index.
 * @param indexText the index file's content.
 * @param open opens a file that lies beside the index, by its plain name.
 * @throws FormatError when the index names anything but plain file names, a shard is missing, or a tensor is not in
 * exactly the shard that the index names.
 */
export async function openSharded(
  name: string,
  indexText: string,
  open: (file: string) => Promise<TensorArchive>,
): Promise<TensorArchive> {
  const shardOf = parseIndex(name, indexText);
  const shards = await openShards(name, [...new Set(shardOf.values())], open);
  const close = async () => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  try {
    const tensors = gather(name, shardOf, shards);
    const checksums = [...shards.values()].flatMap((shard) => shard.checksums ?? []);
    return { name, tensors, metadata: new Map(), checksums, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The files that an index names. @throws FormatError as `openSharded` does for an index that is none. */
export function shardNames(where: string, indexText: string): readonly string[] {
  return [...new Set(parseIndex(where, indexText).values())];
}

function parseIndex(where: string, text: string): ReadonlyMap<string, string> {
  const { weight_map: weightMap } = parseStrictJson(where, text);
  if (!isJsonObject(weightMap)) {
    throw new FormatError(`${where}: expected an object "weight_map"; this is no index of weights files`);
  }
  const shardOf = new Map<string, string>();
  for (const [tensor, file] of Object.entries(weightMap)) {
    if (typeof file !== 'string') {
      throw new FormatError(`${where}: ${tensor}: expected a file name, got ${quoted(file)}; get the index again`);
    }
    assertPlainFileName(where, file);
    shardOf.set(tensor, file);
  }
  const shards = new Set(shardOf.values()).size;
  if (shards > MAX_SHARDS) throw new FormatError(`${where}: names ${shards} files, at most ${MAX_SHARDS} are read`);
  return shardOf;
}

/** Opens all files before judging, so that the error lists every one that is missing. */
async function openShards(
  where: string,
  files: readonly string[],
  open: (file: string) => Promise<TensorArchive>,
): Promise<ReadonlyMap<string, TensorArchive>> {
  const shards = new Map<string, TensorArchive>();
  const failed: { file: string; cause: unknown }[] = [];
  for (const file of files) {
    try {
      shards.set(file, await open(file));
    } catch (cause) {
      failed.push({ file, cause });
    }
  }
  if (failed.length === 0) return shards;
  await Promise.all([...shards.values()].map((shard) => shard.close()));
  const reasons = failed.map(
    ({ file, cause }) => `${file} (${cause instanceof Error ? cause.message : String(cause)})`,
  );
  throw new FormatError(
    `${where}: ${failed.length} of ${files.length} files could not be opened: ${listed(reasons, '; ')}. Get them again.`,
    { cause: failed[0]?.cause },
  );
}

function gather(
  where: string,
  shardOf: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, TensorArchive>,
): ReadonlyMap<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  const missing: string[] = [];
  for (const [name, file] of shardOf) {
    const tensor = shards.get(file)?.tensors.get(name);
    if (tensor) tensors.set(name, tensor);
    else missing.push(`${name} (in ${file})`);
  }
  const stray: string[] = [];
  for (const [file, shard] of shards) {
    for (const name of shard.tensors.keys()) if (shardOf.get(name) !== file) stray.push(`${name} (in ${file})`);
  }
  const problems = [
    ...(missing.length > 0 ? [`${missing.length} tensors are missing: ${listed(missing)}`] : []),
    ...(stray.length > 0 ? [`${stray.length} tensors are where the index does not name them: ${listed(stray)}`] : []),
  ];
  if (problems.length > 0) {
    throw new FormatError(
      `${where}: ${problems.join('. ')}. The index and its files do not belong together; get all again.`,
    );
  }
  return tensors;
}

function listed(names: readonly string[], separator = ', '): string {
  const rest = names.length - LISTED;
  return names.slice(0, LISTED).join(separator) + (rest > 0 ? `, and ${rest} more` : '');
}
