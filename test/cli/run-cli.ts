import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const PARITY = 'test/fixtures/parity';

/** Runs the built program, as a user does. */
export function runCli(...args: readonly string[]): Promise<CliResult> {
  if (!existsSync('dist/cli.cjs')) throw new Error('the program is not built: npm run build');
  return new Promise((resolve) => {
    execFile('node', ['bin/delta-dit.mjs', ...args], { env: process.env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
  });
}

/** Runs the program for what it writes to stdout, which is no text. */
export function runCliForBytes(...args: readonly string[]): Promise<Omit<CliResult, 'stdout'> & { stdout: Buffer }> {
  return new Promise((resolve) => {
    execFile('node', ['bin/delta-dit.mjs', ...args], { encoding: 'buffer' }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr: stderr.toString() });
    });
  });
}

export interface RunningCli {
  /** Waits until stderr has the text; fails when the program ends before. */
  readonly says: (text: RegExp) => Promise<void>;
  /** As Ctrl-C does. */
  readonly interrupt: () => void;
  readonly ended: Promise<CliResult>;
}

/** Starts the program, to meddle with it while it runs. */
export function startCli(...args: readonly string[]): RunningCli {
  const { env } = process; // this test's
  const child = spawn('node', ['bin/delta-dit.mjs', ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<CliResult>((resolve) => {
    child.on('close', (code) => resolve({ code: code ?? -1, stdout: '', stderr }));
  });
  const says = (text: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => text.test(stderr) && resolve();
      child.stderr.on('data', look);
      look();
      void ended.then(() => reject(new Error(`ended without ${text}: ${stderr}`)));
    });
  return { says, interrupt: () => child.kill('SIGINT'), ended };
}

/** Waits until a file is there. */
export function appears(path: string): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!existsSync(path)) return;
      watcher.close();
      resolve();
    };
    const watcher = watch(dirname(path), look);
    look();
  });
}

/** The tiny DiT with random weights, converted; 7 classes, 3 blocks, pictures of 16 px. @param to the folder to write */
export async function convertTinyModel(to: string, ...args: readonly string[]): Promise<void> {
  const layout = ['--num-heads', '4', '--vae', `${PARITY}/dit-tiny-diffusers`];
  const { code, stderr } = await runCli('convert', `${PARITY}/dit-tiny.pt`, '--out', to, ...layout, ...args);
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('tensors') });
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
