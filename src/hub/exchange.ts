import { PassingFailure } from './persist.ts';

export interface ExchangeOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** A server that sends nothing for so long is given up. Default 30 s. */
  readonly silenceMs?: number | undefined;
  /** As fetch takes it. */
  readonly cache?: RequestCache | undefined;
}

const SILENCE_MS = 30_000;

/**
 * One GET and its answer. Redirects are followed by fetch, which takes the authorization along to the same origin only.
 * Whatever `use` leaves of the body is let go.
 * @throws PassingFailure when the server cannot be reached, cuts the connection or falls silent
 */
export async function exchange<T>(
  url: string,
  { headers, signal, silenceMs = SILENCE_MS, cache }: ExchangeOptions,
  use: (response: Response, body: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal?.addEventListener('abort', abort);
  if (signal?.aborted) abort();
  const { host } = new URL(url);
  const watched = <R>(work: () => Promise<R>) => unlessSilent(host, work, stop, silenceMs);
  try {
    const response = await watched(() =>
      fetch(url, { headers, signal: stop.signal, redirect: 'follow', ...(cache && { cache }) }),
    );
    return await use(response, chunksOf(response, watched));
  } finally {
    signal?.removeEventListener('abort', abort);
    stop.abort();
  }
}

type Watched = <R>(work: () => Promise<R>) => Promise<R>;

async function* chunksOf(response: Response, watched: Watched): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await watched(() => reader.read());
    if (done) return;
    yield value;
  }
}

/** Network work, with everything that may go wrong in it told as a failure that may pass. */
async function unlessSilent<R>(
  host: string,
  work: () => Promise<R>,
  stop: AbortController,
  silenceMs: number,
): Promise<R> {
  let silent = false;
  const timer = setTimeout(() => {
    silent = true;
    stop.abort();
  }, silenceMs);
  try {
    return await work();
  } catch (cause) {
    if (silent) throw new PassingFailure(`${host} sent nothing for ${silenceMs / 1000} s`, undefined, { cause });
    throw new PassingFailure(`the connection to ${host} failed (${reasonOf(cause)})`, undefined, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Node's fetch hides the reason in the cause. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const { cause, code, message } = error as { cause?: unknown; code?: unknown; message?: unknown };
  if (typeof cause === 'object' && cause !== null) return reasonOf(cause);
  return String(code ?? message ?? error);
}
