/**
 * One class per kind of error. Every message says where, what was expected, what was found, and what to do next.
 */
export abstract class DeltaDiTError extends Error {
  abstract override readonly name: string;
}

/** A value given by the caller is outside what is allowed. */
export class OptionError extends DeltaDiTError {
  override readonly name = 'OptionError';
}

/** A tensor has another shape than the place it is used in. */
export class ShapeError extends DeltaDiTError {
  override readonly name = 'ShapeError';
}

/** A file is damaged, hostile, truncated, or of a format that is not read. */
export class FormatError extends DeltaDiTError {
  override readonly name = 'FormatError';
}

/** A checkpoint is readable but its tensors or configuration do not make the model. */
export class CheckpointError extends DeltaDiTError {
  override readonly name = 'CheckpointError';
}

/** A backend is absent, or cannot do what was asked of it. */
export class BackendError extends DeltaDiTError {
  override readonly name = 'BackendError';
}

/** A device that computes has failed on its own: a command was invalid, its memory ran out, or it is lost. */
export class DeviceError extends DeltaDiTError {
  override readonly name = 'DeviceError';
}

/** A file could not be read or written. */
export class FileError extends DeltaDiTError {
  override readonly name = 'FileError';
}

/** A model could not be had from the Hugging Face hub, or from a web server. */
export class HubError extends DeltaDiTError {
  override readonly name = 'HubError';
}

/** Numbers stopped being finite during sampling. */
export class NumericsError extends DeltaDiTError {
  override readonly name = 'NumericsError';
}

/** The caller's AbortSignal stopped the work. */
export class AbortError extends DeltaDiTError {
  override readonly name = 'AbortError';
}
