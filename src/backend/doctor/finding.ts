/** `absent`: not there, which is a fault only where a fix is given. `failed`: there, but it does not work. */
export type Status = 'ok' | 'warning' | 'failed' | 'absent';

/** What the doctor says of one thing. */
export interface Finding {
  readonly status: Status;
  /** What is wrong, or missing. */
  readonly problem?: string;
  /** What to do about it; a command stands in backquotes, ready to run. */
  readonly fix?: string;
}

export const OK: Finding = { status: 'ok' };
