/** Of the content of a file; for what git keeps itself, of the git blob, which has a header. */
export interface Checksum {
  readonly algorithm: 'sha256' | 'git-sha1';
  readonly hex: string;
}

/** What git puts before the content of a file of so many bytes. */
export function gitHeader(bytes: number): string {
  return `blob ${bytes}\0`;
}
