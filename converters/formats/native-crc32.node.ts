import { crc32 } from 'node:zlib';
import type { UpdateCrc32 } from './crc32.ts';

/** Node's own, some times faster than tables. */
export const nativeCrc32: UpdateCrc32 | undefined = crc32;
