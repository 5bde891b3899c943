import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { configure, type FileEntry, Reader, ZipReader } from '@zip.js/zip.js';
import { BackendError } from '../../errors.ts';
import { byteProgress, type ReportProgress } from './setup-progress.ts';

/** The two halves of the C library: one exports TFE_* and TF_Version, the other TF_NewTensor and the like. */
export const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const;

/** Of the wheel's 13,000 headers, the ones that the binding of tfjs-node includes, directly or not. */
const HEADERS =
  /^include\/(tensorflow\/c\/|tensorflow\/core\/platform\/ctstring|tsl\/platform\/ctstring|xla\/tsl\/c\/)[\w/.-]*\.h$/;

/** Takes the libraries and the headers out of a wheel, checking each file's CRC. Throws BackendError if it is damaged. */
export async function unpackWheel(
  wheelFile: string,
  folder: string,
  report: ReportProgress,
  signal?: AbortSignal,
): Promise<void> {
  configure({ useWebWorkers: false });
  const file = await open(wheelFile);
  try {
    const reader = new ZipReader(new PositionedReader(file, (await file.stat()).size));
    const entries = await wantedEntries(reader);
    const total = [...entries.values()].reduce((sum, entry) => sum + entry.compressedSize, 0);
    const progress = byteProgress('unpacking TensorFlow', total, report);
    // zip.js counts the packed bytes that it has read.
    let before = 0;
    for (const [path, entry] of entries) {
      await writeEntry(entry, join(folder, path), (done) => progress(before + done), signal);
      before += entry.compressedSize;
    }
  } finally {
    await file.close();
  }
}

async function wantedEntries(reader: ZipReader<unknown>): Promise<Map<string, FileEntry>> {
  const wanted = new Map<string, FileEntry>();
  for await (const entry of reader.getEntriesGenerator()) {
    const path = entry.filename.replace(/^tensorflow\//, '');
    const isLibrary = LIBRARIES.some((name) => name === path);
    if (!entry.directory && (isLibrary || HEADERS.test(path)) && !path.includes('..')) wanted.set(path, entry);
  }
  const absent = LIBRARIES.filter((name) => !wanted.has(name));
  if (absent.length > 0) throw new BackendError(`The wheel of TensorFlow contains no ${absent.join(' and no ')}.`);
  return wanted;
}

async function writeEntry(
  entry: FileEntry,
  path: string,
  onprogress: (done: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await entry.getData(Writable.toWeb(createWriteStream(path)), {
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
