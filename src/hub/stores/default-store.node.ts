import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CheckpointStore } from './checkpoint-store.ts';
import { diskStore } from './disk-store.ts';

/** A folder that all projects of one user share. */
export async function openDefaultStore(): Promise<CheckpointStore> {
  return diskStore(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'delta-dit', 'checkpoints'));
}
