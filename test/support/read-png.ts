import { readFileSync } from 'node:fs';
import png from '@jimp/js-png';

/** The pixels of a PNG file. Jimp.read guesses the format by a dynamic import, which jest's modules do not allow. */
export function readPng(path: string): { width: number; height: number; data: Uint8Array } {
  return png().decode(readFileSync(path));
}
