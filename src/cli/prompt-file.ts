import { createReadStream } from 'node:fs';
import { FileError, FormatError } from '../index.ts';

/** As many as pictures in one run. */
const MAX_LINES = 100_000;
/** Some 600 characters, which is what the model reads, in each of them. */
const MAX_BYTES = 64 * 2 ** 20;

/**
 * The prompts of a text file, one a line, without the space around them; blank lines and lines that begin with # are
 * skipped. The file may be a pipe.
 * @throws FileError when it cannot be read, FormatError when it is no UTF-8 text, too large, or holds no prompt.
 */
export async function readPromptFile(path: string): Promise<string[]> {
  const lines = decoded(path, await readAll(path)).split(/\r\n|\r|\n/);
  if (lines.at(-1) === '') lines.pop(); // after the last line's end
  if (lines.length > MAX_LINES)
    throw new FormatError(
      `${path}: expected at most ${MAX_LINES} lines of prompts, got ${lines.length}; split the file`,
    );
  const prompts = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  if (prompts.length > 0) return prompts;
  throw new FormatError(
    `${path}: holds no prompt; write one a line (blank lines and lines that begin with # are skipped)`,
  );
}

async function readAll(path: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of createReadStream(path) as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
      if (bytes > MAX_BYTES) throw new FormatError(`${path}: is larger than ${MAX_BYTES} bytes; split the file`);
      pieces.push(piece);
    }
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FileError(
      `${path}: cannot be read (${(cause as Error).message}); name a text file of prompts, one a line`,
      {
        cause,
      },
    );
  }
  return Buffer.concat(pieces);
}

function decoded(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError(`${path}: is no UTF-8 text; save it as UTF-8, one prompt a line`);
  }
}
