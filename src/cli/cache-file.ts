import { readFile, stat } from 'node:fs/promises';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { parseArtifact } from '../cache/artifact.ts';
import { calibratedTeaCache } from '../cache/policies/calibrated-tea-cache.ts';
import { ecad, isEcadSchedule, parseEcadSchedule } from '../cache/policies/ecad.ts';
import { harmoniCa, learningToCache, type RouterScores } from '../cache/policies/learning-to-cache.ts';
import { isSmoothCacheSchedule, parseSmoothCacheSchedule, smoothCache } from '../cache/policies/smooth-cache.ts';
import { tablePolicy } from '../cache/policies/table.ts';
import type { CachePolicy } from '../cache/policy.ts';
import { toFloat32 } from '../checkpoint/dtypes.ts';
import { fileSource } from '../checkpoint/file-source.ts';
import { type JsonObject, parseStrictJson } from '../checkpoint/strict-json.ts';
import { FileError, FormatError, OptionError } from '../errors.ts';

/** Whether `--cache` names a file: by its ending, since a method's name has none. */
export function isCacheFile(name: string): boolean {
  return /\.(json|pt|pth)$/.test(name);
}

const MAX_BYTES = 64 * 2 ** 20;

/**
 * A method in a file: JSON of "delta-dit calibrate" or "tune", of SmoothCache or of ECAD, a router of Learning-to-Cache or
 * HarmoniCa (.pt, .pth).
 * @param options `threshold`: θ of a router, τ of TeaCache's coefficients; a schedule was made with one. `method` of a
 * router, which does not say whose it is: learning-to-cache, the default, or harmonica
 * @throws FileError, FormatError; OptionError for an option that has no use
 */
export async function readCacheFile(path: string, { method, ...options }: CacheFileOptions): Promise<CachePolicy> {
  if (!path.endsWith('.json')) return routerMethod(method)(await readRouter(path), options);
  if (method !== undefined)
    throw new OptionError(`--cache-option method: is of a router (.pt, .pth), not of ${path}; leave it out`);
  const text = await readText(path);
  const json = parseStrictJson(path, text);
  const published = publishedSchedule(path, json);
  const artifact = published ?? parseArtifact(path, text);
  if ('coefficients' in artifact) return calibratedTeaCache(artifact, options);
  if (options.threshold !== undefined)
    throw new OptionError(`--cache-option threshold: ${path} holds a schedule, which was made with one; leave it out`);
  return 'fingerprint' in artifact ? tablePolicy(artifact) : artifact;
}

/** In the form in which its authors publish it. */
function publishedSchedule(path: string, json: JsonObject): CachePolicy | undefined {
  if (isEcadSchedule(json)) return ecad(parseEcadSchedule(path, json));
  return isSmoothCacheSchedule(json) ? smoothCache(parseSmoothCacheSchedule(path, json)) : undefined;
}

export interface CacheFileOptions {
  readonly threshold?: number;
  readonly method?: string;
}

const ROUTER_METHODS = new Map([
  ['learning-to-cache', learningToCache],
  ['harmonica', harmoniCa],
]);

function routerMethod(name = 'learning-to-cache') {
  const method = ROUTER_METHODS.get(name);
  if (method) return method;
  const known = [...ROUTER_METHODS.keys()].join(' or ');
  throw new OptionError(`--cache-option method: expected ${known}, got ${JSON.stringify(name)}`);
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES)
      throw new FormatError(`${path}: ${size} bytes is no schedule of a cache method; give another file`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FileError(`--cache ${path}: could not be read (${(cause as Error).message}); give a file that is there`, {
      cause,
    });
  }
}

/** `{"routers": {"0.prob": [2·depth], …}}` of the authors' train_router.py. */
async function readRouter(path: string): Promise<RouterScores> {
  const archive = await openCheckpointFile(await fileSource(path), 'routers');
  try {
    const rows = new Map<string, readonly number[]>();
    for (const [name, tensor] of archive.tensors) {
      if (!/^\d{1,4}\.prob$/.test(name) || tensor.shape.length !== 1) throw noRouter(path, name);
      rows.set(name, [...toFloat32(await tensor.read(), tensor.dtype)]);
    }
    return Array.from({ length: rows.size }, (_, step) => {
      const row = rows.get(`${step}.prob`);
      if (!row) throw noRouter(path, [...rows.keys()].join(', '));
      return row;
    });
  } finally {
    await archive.close();
  }
}

function noRouter(path: string, found: string): FormatError {
  return new FormatError(
    `${path}: expected a router of Learning-to-Cache, a tensor 0.prob, 1.prob, … a step; found ${JSON.stringify(found)}; give another file`,
  );
}
