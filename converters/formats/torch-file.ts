/** A `torch.save` file: the object that was saved, with `TorchTensor` for each tensor, read when asked. */
export interface TorchFile {
  readonly name: string;
  /** Dicts are Maps; the other values are those of pickle-values.ts. */
  readonly root: unknown;
  /**
   * Reads the whole file once and compares every checksum; absent where the format has none (legacy).
   * @param onBytes is told how many more bytes have been checked.
   * @throws FormatError naming the entry that is damaged.
   */
  verify?(onBytes?: (bytes: number) => void): Promise<void>;
  close(): Promise<void>;
}
