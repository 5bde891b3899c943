import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const PARITY = 'test/fixtures/parity';

/** Runs the built program, as a user does. */
export function runCli(...args: readonly string[]): Promise<CliResult> {
  if (!existsSync('dist/cli.mjs')) throw new Error('the program is not built: npm run build');
  return new Promise((resolve) => {
    execFile('node', ['bin/delta-dit.mjs', ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
  });
}

/** A folder that is removed with everything in it. */
export function scratchFolder(): { path: (name: string) => string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'delta-dit-cli-'));
  return { path: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** What every refusal must be: one line that says something, no stack, exit code not 0. */
export function expectRefusal(result: CliResult, text: RegExp): void {
  expect(result.stderr).toMatch(text);
  expect(result.stderr).not.toMatch(/\n\s+at /);
  expect(result.stderr).not.toContain('bug of delta-dit');
  expect(result.code).toBe(1);
}
