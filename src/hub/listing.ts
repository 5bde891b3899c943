import * as z from 'zod';
import type { Checksum } from '../checkpoint/checksum.ts';
import { HubError } from '../errors.ts';
import { isSafePath } from './reference.ts';

/** A file of a model, as the hub lists it. */
export interface HubFile {
  /** Its path in the model's repository. */
  readonly path: string;
  readonly bytes: number;
  readonly checksum: Checksum;
}

const size = z.int().nonnegative();
/** Of /api/models/{repo}/tree/{commit}: large files are in LFS, whose object id is the sha256. */
const ENTRY = z.object({
  type: z.string(),
  path: z.string().refine(isSafePath, 'expected a path inside the model'),
  oid: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .optional(),
  size: size.optional(),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size }).optional(),
});
const PAGE = z.array(ENTRY);

/** The files of one page of a listing. @throws HubError when it is none */
export function parseListing(where: string, json: unknown): readonly HubFile[] {
  const parsed = PAGE.safeParse(json);
  if (!parsed.success) throw unusable(where, z.prettifyError(parsed.error));
  const files = parsed.data.filter(({ type }) => type === 'file');
  return files.map(({ path, oid, size: bytes, lfs }) => {
    if (lfs) return { path, bytes: lfs.size, checksum: { algorithm: 'sha256', hex: lfs.oid } };
    if (oid === undefined || bytes === undefined) throw unusable(where, `${path} has no size or checksum`);
    return { path, bytes, checksum: { algorithm: 'git-sha1', hex: oid } };
  });
}

const REVISION = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) });

/** The commit that a branch or tag stands for. @throws HubError when the answer names none */
export function parseRevision(where: string, json: unknown): string {
  const parsed = REVISION.safeParse(json);
  if (!parsed.success) throw unusable(where, z.prettifyError(parsed.error));
  return parsed.data.sha;
}

export function unusable(where: string, why: string): HubError {
  return new HubError(`${where}: the server does not answer as a hub does; check HF_ENDPOINT: ${why}`);
}
