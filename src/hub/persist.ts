import { AbortError, HubError } from '../errors.ts';

/** A failure that may pass when it is tried again: a cut connection, a server that is busy. */
export class PassingFailure extends Error {
  /** @param waitMs how long the server asked to be left alone */
  constructor(
    message: string,
    readonly waitMs?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface Patience {
  /** Failures in a row, without progress between them, after which it is given up. */
  readonly tries: number;
  /** The wait after the first failure; it doubles with each, up to 30 s. */
  readonly firstWaitMs: number;
  /** A server that asks to be left alone for longer is told to the caller instead. */
  readonly longestWaitMs: number;
}

/** About half a minute of waiting; the hub counts requests in windows of five minutes. */
export const PATIENCE: Patience = { tries: 6, firstWaitMs: 1_000, longestWaitMs: 300_000 };
const LONGEST_OWN_WAIT_MS = 30_000;

export interface PersistOptions {
  readonly patience?: Patience | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What to do when it is given up, unless the server says when to come back. */
  readonly advice: string;
}

/**
 * Does `work` until it succeeds, with exponential waits and jitter after failures that may pass. `work` says when it
 * made progress, which forgives the failures before.
 * @param where shown in errors
 * @throws HubError when it is given up; AbortError when stopped; whatever else `work` throws.
 */
export async function persist<T>(
  where: string,
  work: (progress: () => void) => Promise<T>,
  { patience = PATIENCE, signal, advice }: PersistOptions,
): Promise<T> {
  let failures = 0;
  const progress = () => {
    failures = 0;
  };
  for (;;) {
    if (signal?.aborted) throw stopped(where);
    try {
      return await work(progress);
    } catch (error) {
      if (signal?.aborted) throw stopped(where);
      if (!(error instanceof PassingFailure)) throw error;
      failures += 1;
      const wait = error.waitMs ?? ownWait(failures, patience);
      if (failures >= patience.tries || wait > patience.longestWaitMs) throw givenUp(where, error, failures, advice);
      await pause(wait, signal);
    }
  }
}

export function stopped(where: string): AbortError {
  return new AbortError(`${where}: the download was stopped; what has arrived is kept, and the next one goes on there`);
}

function givenUp(where: string, failure: PassingFailure, failures: number, advice: string): HubError {
  const what = failure.waitMs === undefined ? advice : `try again in ${Math.ceil(failure.waitMs / 1000)} s`;
  const tries = failures === 1 ? '' : `, ${failures} times`;
  return new HubError(`${where}: ${failure.message}${tries}; ${what}`, { cause: failure });
}

/** Between half and all of the doubled wait, so that clients that failed together do not come back together. */
function ownWait(failures: number, { firstWaitMs }: Patience): number {
  return Math.min(firstWaitMs * 2 ** (failures - 1), LONGEST_OWN_WAIT_MS) * (0.5 + Math.random() / 2);
}

/** Ends early when stopped; whoever asked looks at the signal. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
  });
}
