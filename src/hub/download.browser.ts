import { OptionError } from '../errors.ts';

/** A page has no paths. @throws OptionError */
export async function fromCacheOrHub(name: string): Promise<never> {
  throw noPath(name);
}

/** @throws OptionError */
export async function downloadFromHub(name: string): Promise<never> {
  throw noPath(name);
}

function noPath(name: string): OptionError {
  return new OptionError(`${name}: a browser keeps no files with paths; fromPretrained downloads and keeps it here`);
}
