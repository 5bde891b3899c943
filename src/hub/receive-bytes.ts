import { HubError } from '../errors.ts';
import type { HubFile } from './listing.ts';
import { type ByteSink, type ReceiveOptions, receive } from './receive.ts';

/** The same file arrives wrong twice only from a server that has it wrong. */
export const ARRIVALS = 2;

/** Bytes in memory, as many as a file has. */
export class MemorySink implements ByteSink {
  readonly bytes: Uint8Array<ArrayBuffer>;
  private written = 0;

  constructor(
    size: number,
    private readonly onLength: (length: number) => void = () => {},
  ) {
    this.bytes = new Uint8Array(size);
  }

  get length(): number {
    return this.written;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.bytes.set(bytes, this.written);
    this.setLength(this.written + bytes.length);
  }

  async restart(): Promise<void> {
    this.setLength(0);
  }

  private setLength(length: number): void {
    this.written = length;
    this.onLength(length);
  }
}

/**
 * A whole file in memory, for where there are no others: fetched as `receive` does, and compared with its checksum. Runs in
 * browsers, and in Node.
 * @param onLength told how many bytes are there
 * @throws as `receive`; HubError when it arrives damaged, twice
 */
export async function receiveBytes(
  options: ReceiveOptions,
  checksum: HubFile['checksum'],
  onLength?: (length: number) => void,
): Promise<Uint8Array> {
  for (let arrivals = 0; arrivals < ARRIVALS; arrivals++) {
    const sink = new MemorySink(options.size, onLength);
    await receive(sink, options);
    if ((await checksumOf(sink.bytes, checksum.algorithm)) === checksum.hex) return sink.bytes;
  }
  throw damaged(options.where, checksum);
}

export function damaged(where: string, { algorithm, hex }: HubFile['checksum']): HubError {
  return new HubError(
    `${where}: arrived damaged ${ARRIVALS} times, its ${algorithm} is not the listed ${hex}; try again later, or use another HF_ENDPOINT`,
  );
}

async function checksumOf(
  bytes: Uint8Array<ArrayBuffer>,
  algorithm: HubFile['checksum']['algorithm'],
): Promise<string> {
  const digest =
    algorithm === 'sha256'
      ? await crypto.subtle.digest('SHA-256', bytes)
      : await crypto.subtle.digest('SHA-1', withGitHeader(bytes));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The object that git makes of a file. */
function withGitHeader(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode(gitHeader(bytes.length));
  const whole = new Uint8Array(header.length + bytes.length);
  whole.set(header);
  whole.set(bytes, header.length);
  return whole;
}

export function gitHeader(bytes: number): string {
  return `blob ${bytes}\0`;
}
