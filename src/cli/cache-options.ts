import { deltaDiT } from '../cache/policies/delta-dit.ts';
import { forecast } from '../cache/policies/forecast.ts';
import { deltaCache, featureCache, type Region } from '../cache/policies/span-cache.ts';
import type { CachePolicy } from '../cache/policy.ts';
import { OptionError } from '../errors.ts';

type Numbers = Readonly<Record<string, number>>;

interface NamedPolicy {
  readonly options: readonly string[];
  readonly make: (options: Numbers) => CachePolicy;
}

const DELTA_DIT_OPTIONS = ['interval', 'cachedBlocks', 'budget', 'stageBound', 'frontOffset', 'rearOffset'];
const SPAN_OPTIONS = ['interval', 'cachedBlocks', 'offset'];
const REGIONS: readonly Region[] = ['front', 'middle', 'rear'];

const POLICIES: ReadonlyMap<string, NamedPolicy> = new Map<string, NamedPolicy>([
  ['delta-dit', { options: DELTA_DIT_OPTIONS, make: deltaDiT }],
  ['forecast', { options: ['interval'], make: forecast }],
  ...REGIONS.flatMap((region): [string, NamedPolicy][] => [
    [`delta-cache-${region}`, { options: SPAN_OPTIONS, make: (options) => deltaCache({ region, ...options }) }],
    [`feature-cache-${region}`, { options: SPAN_OPTIONS, make: (options) => featureCache({ region, ...options }) }],
  ]),
]);

/** What `--cache` takes besides `none`. */
export const CACHE_NAMES: readonly string[] = [...POLICIES.keys()];

/**
 * `--cache name` with `--cache-option k=v,…`.
 * @returns undefined for `none`
 * @throws OptionError naming the methods, or the options of the method, that exist
 */
export function cachePolicy(name: string | undefined, pairs: readonly string[]): CachePolicy | undefined {
  if (name === undefined || name === 'none') {
    if (pairs.length > 0) throw new OptionError(`--cache-option ${pairs.join(',')}: needs --cache with a method`);
    return undefined;
  }
  const named = POLICIES.get(name);
  if (!named) throw new OptionError(`--cache: expected none, ${CACHE_NAMES.join(', ')}; got ${JSON.stringify(name)}`);
  const options: Record<string, number> = {};
  for (const pair of pairs.flatMap((list) => list.split(','))) {
    const [key = '', value = ''] = pair.split('=').map((part) => part.trim());
    if (!named.options.includes(key))
      throw new OptionError(`--cache-option: ${name} takes ${named.options.join(', ')}; got ${JSON.stringify(key)}`);
    if (value === '' || !Number.isFinite(Number(value)))
      throw new OptionError(`--cache-option ${key}: expected a number, got ${JSON.stringify(value)}`);
    options[key] = Number(value);
  }
  return named.make(options);
}
