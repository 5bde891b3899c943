import { FileError } from '../errors.ts';
import { assertInside, type ByteSource } from './byte-source.ts';

/** A Blob or File of the browser, read in slices. `name` is shown in errors. */
export function blobSource(blob: Blob, name: string): ByteSource {
  const source: ByteSource = {
    name,
    size: blob.size,
    async read(offset, length) {
      assertInside(source, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new FileError(`${name}: ${length} bytes at offset ${offset} could not be read; choose the file again`, {
          cause,
        });
      }
    },
    async close() {},
  };
  return source;
}
