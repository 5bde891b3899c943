import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { CACHE_PLAN_NAME } from '../../checkpoint/manifest.ts';
import { CheckpointError, openCheckpoint, parseArtifact, verifyCheckpoint } from '../../index.ts';
import { findModel } from '../find-model.ts';
import { ProgressLine } from '../progress.ts';

export function verifyCommand(): Command {
  return new Command('verify')
    .description('compare a converted checkpoint with its manifest: checksums, shapes, NaN and infinities')
    .argument('<folder>', 'converted folder, or the name of a shipped checkpoint')
    .action(verify);
}

async function verify(folder: string): Promise<void> {
  const path = await findModel(folder);
  const progress = new ProgressLine('Verifying');
  try {
    const report = await verifyCheckpoint(path, {
      onProgress: ({ doneBytes, totalBytes, file }) => progress.update(Math.min(doneBytes / totalBytes, 1), file),
    });
    progress.end();
    const { files, tensors, bytes, nan, infinite, problems } = report;
    console.log(
      `${path}: ${files} files, ${tensors} tensors, ${(bytes / 1e6).toFixed(1)} MB, ${nan} NaN, ${infinite} infinite`,
    );
    if (problems.length > 0) {
      const noun = problems.length === 1 ? 'problem' : 'problems';
      throw new CheckpointError(
        `${path}: ${problems.length} ${noun}; convert the checkpoint again\n${problems.map((line) => `  ${line}`).join('\n')}`,
      );
    }
    console.log('Everything is as the manifest says.');
    if (existsSync(join(path, CACHE_PLAN_NAME))) console.log(await planLine(path));
  } finally {
    progress.end();
  }
}

/** @throws FormatError for a damaged plan; CheckpointError for one that was made for other weights */
async function planLine(path: string): Promise<string> {
  const { cachePlan = '', sha256, close } = await openCheckpoint(path);
  await close();
  const where = join(path, CACHE_PLAN_NAME);
  const { method, fingerprint } = parseArtifact(where, cachePlan);
  const { sha256: made, sampler, numInferenceSteps } = fingerprint;
  if (made && [...made].sort().join() !== [...sha256].sort().join())
    throw new CheckpointError(`${where}: made for other weights; make it again with "delta-dit tune", or remove it`);
  return `${CACHE_PLAN_NAME}: ${method}, ${numInferenceSteps} steps of ${sampler}, made for these weights.`;
}
