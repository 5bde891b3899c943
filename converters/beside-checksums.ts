import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { AbortError } from '../src/errors.ts';

/**
 * Compares the checksums of archives while work is done with what they hold. Where one is wrong, that is told, rather
 * than what came of it, and the work is stopped.
 * @param work calls what it is given now and then, which throws where a checksum is wrong
 * @throws FormatError as `TensorArchive.verify`; what `work` throws where the checksums are right, or it was stopped
 */
export async function besideChecksums<T>(
  archives: readonly TensorArchive[],
  work: (assertGood: () => void) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const assertGoing = () => stop.signal.throwIfAborted();
  const compared = (async () => {
    for (const archive of archives) await archive.verify?.(assertGoing);
  })();
  compared.catch((reason) => stop.abort(reason));
  try {
    const done = await work(assertGoing);
    await compared;
    return done;
  } catch (error) {
    if (error instanceof AbortError) stop.abort(error);
    await compared;
    throw error;
  }
}
