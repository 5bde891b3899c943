import { AbortError } from '../src/errors.ts';

/**
 * Does work with what is read while its checksums are compared. Where one is wrong, that is told, rather than what came of
 * it, and the work is stopped.
 * @param compared rejects where a checksum is wrong
 * @param work calls what it is given now and then, which throws then
 */
export async function besideChecksums<T>(
  compared: Promise<unknown>,
  work: (assertGood: () => void) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  compared.catch((reason) => stop.abort(reason));
  try {
    const done = await work(() => stop.signal.throwIfAborted());
    await compared;
    return done;
  } catch (error) {
    if (!(error instanceof AbortError)) await compared;
    throw error;
  }
}
