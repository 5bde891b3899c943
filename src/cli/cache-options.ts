import type { CachePolicy } from '../cache/policy.ts';
import { OptionError } from '../errors.ts';
import { isCacheFile, readCacheFile } from './cache-file.ts';
import { METHODS, number } from './cache-methods.ts';

/** What `--cache` takes besides `none`. */
export const CACHE_NAMES: readonly string[] = [...METHODS.keys()];

/**
 * `--cache name` with `--cache-option k=v,…`, numbers of a list joined by `+`; or `--cache file`, see `readCacheFile`.
 * @returns undefined for `none`
 * @throws OptionError naming the methods, or the options of the method, that exist; FileError or FormatError for a file
 */
export async function cachePolicy(
  name: string | undefined,
  pairs: readonly string[],
): Promise<CachePolicy | undefined> {
  if (name === undefined || name === 'none') {
    if (pairs.length > 0) throw new OptionError(`--cache-option ${pairs.join(',')}: needs --cache with a method`);
    return undefined;
  }
  if (isCacheFile(name)) {
    const given = optionsOf(name, ['threshold', 'method'], pairs);
    const [threshold, method] = [given.get('threshold'), given.get('method')];
    return readCacheFile(name, {
      ...(threshold !== undefined && { threshold: number(threshold, 'threshold') }),
      ...(method !== undefined && { method }),
    });
  }
  const named = METHODS.get(name);
  if (!named) {
    throw new OptionError(
      `--cache: expected none, auto, ${CACHE_NAMES.join(', ')}, or a file (.json, .pt, .pth); got ${JSON.stringify(name)}`,
    );
  }
  return named.make(optionsOf(name, named.options, pairs));
}

/** As `cachePolicy`, or the plan that the checkpoint carries. */
export async function wantedCache(
  name: string | undefined,
  pairs: readonly string[],
): Promise<CachePolicy | 'auto' | undefined> {
  if (name !== 'auto') return cachePolicy(name, pairs);
  if (pairs.length > 0) throw new OptionError(`--cache-option ${pairs.join(',')}: --cache auto takes none`);
  return name;
}

function optionsOf(name: string, known: readonly string[], pairs: readonly string[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const pair of pairs.flatMap((list) => list.split(','))) {
    const [option = '', value = ''] = pair.split('=').map((part) => part.trim());
    if (!known.includes(option))
      throw new OptionError(`--cache-option: ${name} takes ${known.join(', ')}; got ${JSON.stringify(option)}`);
    texts.set(option, value);
  }
  return texts;
}
