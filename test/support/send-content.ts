import type { IncomingMessage, ServerResponse } from 'node:http';

/** What goes wrong with one answer that brings a file. */
export interface Mischief {
  /** Ends the connection after so many bytes. */
  readonly cutAfter?: number;
  /** Ends the answer there as if that were all. */
  readonly endAfter?: number;
  /** Changes the byte at this place of the file. */
  readonly corruptAt?: number;
  readonly noRanges?: boolean;
  /** Answers with no file. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes after those of the file. */
  readonly extra?: number;
  /** Sends so many bytes and then nothing. */
  readonly silentAfter?: number;
  /** Milliseconds between chunks of 16 KiB. */
  readonly slowly?: number;
}

/** Large ones leave in some dozens of pieces. */
const chunkBytes = (bytes: number): number => Math.max(16 * 1024, Math.ceil(bytes / 64));

/** Answers with a file, or what is left of it behind the start of a range. */
export async function sendContent(
  content: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
  { headers, mischief }: { readonly headers: Readonly<Record<string, string>>; readonly mischief: Mischief },
): Promise<void> {
  const { range } = request.headers;
  const { status, headers: more, noRanges, corruptAt, extra = 0, ...stop } = mischief;
  if (status !== undefined) return plain(response, status, { ...headers, ...more });
  const whole = Buffer.concat([content, Buffer.alloc(extra)]);
  if (corruptAt !== undefined) whole.writeUInt8(whole.readUInt8(corruptAt) ^ 1, corruptAt);
  const from = noRanges || range === undefined ? undefined : Number(/^bytes=(\d+)-/.exec(range)?.[1]);
  if (from !== undefined && from >= whole.length) return plain(response, 416, {});
  const body = whole.subarray(from ?? 0);
  response.writeHead(from === undefined ? 200 : 206, {
    ...headers,
    ...(stop.endAfter === undefined ? { 'content-length': String(body.length) } : {}),
    ...(from === undefined ? {} : { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` }),
    ...more,
  });
  if (request.method === 'HEAD') response.end();
  else await sendBody(body, response, stop);
}

async function sendBody(body: Buffer, response: ServerResponse, stop: Mischief): Promise<void> {
  const { cutAfter, endAfter, silentAfter, slowly = 0 } = stop;
  const last = Math.min(cutAfter ?? endAfter ?? silentAfter ?? body.length, body.length);
  const step = chunkBytes(body.length);
  for (let at = 0; at < last && !response.destroyed; at += step) {
    const chunk = body.subarray(at, Math.min(at + step, last));
    await new Promise((resolve) => response.write(chunk, resolve));
    if (slowly > 0) await new Promise((resolve) => setTimeout(resolve, slowly));
  }
  if (cutAfter !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, 20)); // so that what was written leaves first
    response.destroy();
  } else if (silentAfter === undefined) response.end();
}

export function plain(response: ServerResponse, status: number, headers: Readonly<Record<string, string>>): void {
  response.writeHead(status, headers).end();
}
