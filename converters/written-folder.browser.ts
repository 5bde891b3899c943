import { FileError } from '../src/errors.ts';

/** A page writes no folders. */
export const FolderWriter = {
  create: async (path: string): Promise<never> => {
    throw new FileError(`${path}: a browser writes no folders; convert with "delta-dit convert" in Node`);
  },
};

export function describeSources(): never {
  throw new FileError('a browser reads no paths; convert with "delta-dit convert" in Node');
}

export const sizeOfSources = async (): Promise<number> => describeSources();
