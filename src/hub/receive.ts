import type { Checksum } from '../checkpoint/checksum.ts';
import { HubError } from '../errors.ts';
import { exchange } from './exchange.ts';
import { PassingFailure, type Patience, persist } from './persist.ts';

/** Where bytes go, one after the other: a file, or memory. */
export interface ByteSink {
  /** How many are there; the next ones go after them. */
  readonly length: number;
  write(bytes: Uint8Array): Promise<void>;
  /** Forgets all that are there. */
  restart(): Promise<void>;
}

export interface ReceiveOptions {
  /** Shown in errors. */
  readonly where: string;
  readonly url: string;
  /** Bytes of the whole, known before. */
  readonly size: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What an answer that brings no bytes means. */
  readonly refusal: (response: Response) => Error;
  /** What to do about a server that has something else than it should. Default: another HF_ENDPOINT. */
  readonly remedy?: string | undefined;
  /** Told when the server sends a file from its start, though only the rest was asked for. */
  readonly onRestart?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly patience?: Patience | undefined;
  readonly silenceMs?: number | undefined;
  /** As fetch takes it. */
  readonly cache?: RequestCache | undefined;
}

/**
 * Fetches what the sink lacks of a file: from where it stands, again from where a connection was cut, from the start
 * where the server knows no ranges. It has `size` bytes then; whether they are the right ones is for a checksum to say.
 * @throws HubError when the server has another size than it should, or it is given up; AbortError when stopped.
 */
export async function receive(sink: ByteSink, options: ReceiveOptions): Promise<void> {
  const { where, url, size, silenceMs, signal, cache } = options;
  let farthest = sink.length;
  await persist(
    where,
    async (progress) => {
      const from = sink.length;
      if (from === size) return;
      const headers = { ...options.headers, ...(from > 0 ? { range: `bytes=${from}-` } : {}) };
      await exchange(url, { headers, signal, silenceMs, cache }, async (response, body) => {
        await expectRest(response, from, sink, options);
        for await (const chunk of body) {
          if (sink.length + chunk.length > size) throw otherSize(options, 'more');
          await sink.write(chunk);
          if (sink.length > farthest) progress(); // a server without ranges sends the same bytes again and again
          farthest = Math.max(farthest, sink.length);
        }
      });
      if (sink.length < size) throw new PassingFailure(`the connection was cut at byte ${sink.length} of ${size}`);
    },
    { ...options, advice: 'what has arrived is kept, so that the same command goes on there later' },
  );
}

/** Sees that an answer brings what is missing, or all of it. */
async function expectRest(response: Response, from: number, sink: ByteSink, options: ReceiveOptions): Promise<void> {
  const { status, headers } = response;
  if (status === 206) return expectRange(headers.get('content-range'), from, options);
  if (status === 416) {
    await sink.restart();
    throw new PassingFailure('the server has no bytes where this file goes on');
  }
  if (status !== 200) throw options.refusal(response);
  const length = headers.get('content-encoding') === null ? headers.get('content-length') : null;
  // what another origin has compressed, a page does not see, only the length of that
  const isLength = length !== null && response.type !== 'cors';
  if (isLength && Number(length) !== options.size) throw otherSize(options, length);
  if (from === 0) return;
  options.onRestart?.();
  await sink.restart();
}

/** Other origins may hide the header from a page; then the checksum alone tells. */
function expectRange(range: string | null, from: number, options: ReceiveOptions): void {
  if (range === null) return;
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
  if (total !== '*' && Number(total) !== options.size) throw otherSize(options, String(total));
  if (Number(start) !== from)
    throw new HubError(
      `${options.where}: asked for bytes from ${from}, got "${range}"; try again, or ${remedyOf(options)}`,
    );
}

function otherSize(options: ReceiveOptions, bytes: string): HubError {
  const { where, size } = options;
  return new HubError(
    `${where}: the server has another file than it listed, of ${bytes} bytes instead of ${size}; try again, or ${remedyOf(options)}`,
  );
}

const OTHER_ENDPOINT = 'use another HF_ENDPOINT';

function remedyOf({ remedy = OTHER_ENDPOINT }: Pick<ReceiveOptions, 'remedy'>): string {
  return remedy;
}

/** The same file arrives wrong twice only from a server that has it wrong. */
export const ARRIVALS = 2;

export function damaged(where: string, { algorithm, hex }: Checksum, remedy?: string): HubError {
  return new HubError(
    `${where}: arrived damaged ${ARRIVALS} times, its ${algorithm} is not the listed ${hex}; try again later, or ${remedyOf({ remedy })}`,
  );
}
