import type { UpdateCrc32 } from './crc32.ts';

/** Browsers have none. */
export const nativeCrc32: UpdateCrc32 | undefined = undefined;
