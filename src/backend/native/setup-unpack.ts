import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { configure, type FileEntry, Reader, ZipReader } from '@zip.js/zip.js';
import { BackendError } from '../../errors.ts';
import { byteProgress, type ReportProgress } from './setup-progress.ts';
import type { Wheel } from './setup-wheels.ts';

/**
 * Takes what is kept of a wheel into `folder`, under the paths that it has in the wheel, checking each file's CRC.
 * Throws BackendError if the wheel is damaged.
 */
export async function unpackWheel(
  wheel: Wheel,
  file: string,
  folder: string,
  report: ReportProgress,
  signal?: AbortSignal,
): Promise<void> {
  configure({ useWebWorkers: false });
  const handle = await open(file);
  try {
    const reader = new ZipReader(new PositionedReader(handle, (await handle.stat()).size));
    const entries = await keptEntries(reader, wheel);
    const total = entries.reduce((sum, entry) => sum + entry.compressedSize, 0);
    const progress = byteProgress(`unpacking ${wheel.package}`, total, report);
    // zip.js counts the packed bytes that it has read.
    let before = 0;
    for (const entry of entries) {
      await writeEntry(entry, join(folder, entry.filename), (done) => progress(before + done), signal);
      before += entry.compressedSize;
    }
  } finally {
    await handle.close();
  }
}

async function keptEntries(reader: ZipReader<unknown>, wheel: Wheel): Promise<FileEntry[]> {
  const kept: FileEntry[] = [];
  for await (const entry of reader.getEntriesGenerator()) {
    if (!entry.directory && wheel.keeps.test(entry.filename) && !entry.filename.includes('..')) kept.push(entry);
  }
  const absent = wheel.required.filter((path) => !kept.some(({ filename }) => filename === path));
  if (absent.length > 0) {
    throw new BackendError(`The wheel of ${wheel.package} ${wheel.version} contains no ${absent.join(' and no ')}.`);
  }
  return kept;
}

async function writeEntry(
  entry: FileEntry,
  path: string,
  onprogress: (done: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const mode = entry.executable ? 0o755 : 0o644;
  await entry.getData(Writable.toWeb(createWriteStream(path, { mode })), {
    checkSignature: true,
    ...(signal && { signal }),
    onprogress: async (done: number) => onprogress(done),
  });
}

/** Reads a file piece by piece, where zip.js would want it whole. */
class PositionedReader extends Reader<FileHandle> {
  readonly #file: FileHandle;

  constructor(file: FileHandle, size: number) {
    super(file);
    this.#file = file;
    this.size = size;
  }

  override async readUint8Array(index: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await this.#file.read(bytes, 0, length, index);
    return bytes.subarray(0, bytesRead);
  }
}
