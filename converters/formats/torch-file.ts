import type { StoredChecksum } from '../../src/checkpoint/stored-tensor.ts';

/** A `torch.save` file: the object that was saved, with `TorchTensor` for each tensor, read when asked. */
export interface TorchFile {
  readonly name: string;
  /** Dicts are Maps; the other values are those of pickle-values.ts. */
  readonly root: unknown;
  /** Absent where the format has none (legacy). */
  readonly checksums?: readonly StoredChecksum[] | undefined;
  close(): Promise<void>;
}
