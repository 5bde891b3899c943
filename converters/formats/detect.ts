import { type ByteSource, takeOver } from '../../src/checkpoint/byte-source.ts';
import { MAX_HEADER_BYTES, openSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { FormatError } from '../../src/errors.ts';
import { flattenTensors } from './flatten-tensors.ts';
import { openTorchLegacy } from './torch-legacy.ts';

/** What a file is, by its first bytes. A TorchScript program is a torch zip too, and found out by its index. */
export type CheckpointFormat =
  | 'torch-zip'
  | 'torch-legacy'
  | 'torch-tar'
  | 'safetensors'
  | keyof typeof FOREIGN
  | 'unknown';

/** Files that turn up in the place of a checkpoint, by how they begin. */
const FOREIGN = {
  empty: { begins: [], advice: 'it is empty; get it again' },
  'git-lfs-pointer': {
    begins: [...bytesOf('version https://git-lfs')],
    advice: 'it is a pointer of Git LFS; get the file itself with "git lfs pull"',
  },
  pickle: { begins: [0x80], advice: 'it is a bare pickle; save the tensors with torch.save(state_dict, path)' },
  hdf5: { begins: [0x89, ...bytesOf('HDF')], advice: 'it is HDF5 (Keras); only PyTorch checkpoints are read' },
  numpy: { begins: [0x93, ...bytesOf('NUMPY')], advice: 'it is a NumPy array; save a state dict with torch.save' },
  gguf: { begins: [...bytesOf('GGUF')], advice: 'it is GGUF; get the checkpoint it was made from' },
  gzip: { begins: [0x1f, 0x8b], advice: 'it is compressed; unpack it first (gunzip)' },
  'seven-zip': { begins: [...bytesOf('7z')], advice: 'it is a 7z archive; unpack it first' },
  html: { begins: [...bytesOf('<')], advice: 'it is a web page, perhaps the error of a download; get the file again' },
  json: { begins: [...bytesOf('{')], advice: 'it is JSON; name the checkpoint file or its folder' },
} as const satisfies Record<string, { begins: readonly number[]; advice: string }>;

const ZIP = [...bytesOf('PK'), 3, 4];
/** torch's magic number 0x1950a86a20f9469cfc6c as a pickled integer (torch/serialization.py), after the protocol. */
const LEGACY = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/** Protocol 4 puts a frame of 9 bytes before it. */
const LEGACY_AT = [2, 11];
const TAR = [...bytesOf('ustar')];
const TAR_AT = 257;

/** Looks at the first bytes only. */
export async function detectFormat(source: ByteSource): Promise<CheckpointFormat> {
  const start = await source.read(0, Math.min(source.size, TAR_AT + TAR.length));
  if (start.length === 0) return 'empty';
  if (beginsAt(start, 0, ZIP)) return 'torch-zip';
  if (start[0] === 0x80 && LEGACY_AT.some((at) => beginsAt(start, at, LEGACY))) return 'torch-legacy';
  if (beginsAt(start, TAR_AT, TAR)) return 'torch-tar';
  if (looksLikeSafetensors(start)) return 'safetensors';
  const foreign = (Object.keys(FOREIGN) as (keyof typeof FOREIGN)[]).find(
    (format) => FOREIGN[format].begins.length > 0 && beginsAt(start, 0, FOREIGN[format].begins),
  );
  return foreign ?? 'unknown';
}

/**
 * The named tensors of one checkpoint file, whatever its format. Takes over `source`, also when it fails.
 * @param key where a torch file keeps its state dict; see `flattenTensors`.
 * @throws FormatError when the file is damaged or not read, with what to do. CheckpointError when it has no tensors.
 */
export function openCheckpointFile(source: ByteSource, key?: string): Promise<TensorArchive> {
  return takeOver(source, async () => {
    const format = await detectFormat(source);
    switch (format) {
      case 'torch-zip': {
        const { openTorchZip } = await import('./torch-zip.ts'); // a page that reads no zip does without the library
        return flattenTensors(await openTorchZip(source), key);
      }
      case 'safetensors':
        return openSafetensors(source);
      case 'torch-legacy':
        return flattenTensors(await openTorchLegacy(source), key);
      case 'torch-tar':
        throw unread(
          source,
          'it is a tar, perhaps of torch before 0.1.10; unpack it, or load it in PyTorch and save it again',
        );
      case 'unknown':
        throw unread(
          source,
          'it is none of the formats that are read: torch.save (.pt, .pth, .ckpt, .bin), safetensors',
        );
      default:
        throw unread(source, FOREIGN[format].advice);
    }
  });
}

/** The header's length, then its first character. */
function looksLikeSafetensors(start: Uint8Array): boolean {
  if (start.length < 9 || start[8] !== 0x7b) return false;
  return new DataView(start.buffer, start.byteOffset).getBigUint64(0, true) <= MAX_HEADER_BYTES;
}

function beginsAt(start: Uint8Array, at: number, expected: readonly number[]): boolean {
  return expected.every((byte, i) => start[at + i] === byte);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function unread(source: ByteSource, advice: string): FormatError {
  return new FormatError(`${source.name}: this file is not read: ${advice}`);
}
