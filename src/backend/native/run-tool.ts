import { type ChildProcess, spawn } from 'node:child_process';
import { AbortError } from '../../errors.ts';

export interface ToolRun {
  /** False where there is no such program on PATH. */
  readonly found: boolean;
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** "exit code 1", "signal SIGILL", "no answer within 60 s". */
  readonly ending: string;
}

export interface ToolOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** After this many milliseconds the program is killed, which its `ending` says. Default: never. */
  readonly timeLimit?: number | undefined;
}

/** Runs a program to its end without a shell; throws only AbortError. */
export function runTool(program: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolRun> {
  const { cwd, env, signal, timeLimit } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(stopped());
    const child = spawn(program, args, {
      ...(cwd && { cwd }),
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stop = () => child.kill();
    signal?.addEventListener('abort', stop, { once: true });
    const limit = killAfter(child, timeLimit);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    const finish = (found: boolean, code: number | null, ending: string) => {
      signal?.removeEventListener('abort', stop);
      limit.lift();
      if (signal?.aborted) return reject(stopped());
      resolve({
        found,
        ok: code === 0,
        stdout: String(Buffer.concat(out)),
        stderr: String(Buffer.concat(err)),
        ending: limit.ending ?? ending,
      });
    };
    child.on('error', (error: NodeJS.ErrnoException) => finish(error.code !== 'ENOENT', null, error.message));
    child.on('close', (code, killedBy) => finish(true, code, killedBy ? `signal ${killedBy}` : `exit code ${code}`));
  });
}

/** @param timeLimit in milliseconds; undefined sets no limit */
function killAfter(child: ChildProcess, timeLimit: number | undefined): { ending?: string; lift(): void } {
  if (timeLimit === undefined) return { lift: () => {} };
  const limit: { ending?: string; lift(): void } = { lift: () => clearTimeout(timer) };
  const timer = setTimeout(() => {
    limit.ending = `no answer within ${timeLimit / 1000} s`;
    child.kill('SIGKILL'); // a program that hangs in native code hears nothing else
  }, timeLimit);
  return limit;
}

/** What says most in a tool's output: a full disk; the last words of Python, Node and npm; the compiler's; anything. */
const TELLING = [/no space left on device/i, /^(\w*error|npm error)\b/i, /\berror:/i, /\berror\b/i];

/** The one line of a tool's output that goes into a message. */
export function tellingLine({ stderr, stdout, ending }: ToolRun): string {
  const lines = `${stdout}\n${stderr}`
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  for (const pattern of TELLING) {
    const line = lines.find((candidate) => pattern.test(candidate));
    if (line) return line;
  }
  return lines.at(-1) ?? ending;
}

function stopped(): AbortError {
  return new AbortError('The native set-up was stopped. Nothing is half-installed; run it again to go on.');
}
