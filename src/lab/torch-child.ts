import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { BackendError } from '../errors.ts';

export interface TorchOptions {
  /** The Python that has torch, as one would type it. */
  readonly python: string;
  /** The program that it runs: src/lab/pytorch/bench.py, or one that speaks as it does. */
  readonly script: string;
  /** Safetensors with weights, inputs and what to do (see the script). */
  readonly caseFile: string;
  readonly threads: number;
}

/** A Python that repeats a computation in PyTorch at our word: one line asks, one line of JSON answers. */
export class TorchChild {
  /** What it runs on, such as "torch 2.15.0, 2 threads". */
  readonly versions: string;

  private constructor(
    private readonly lines: Lines,
    ready: unknown,
  ) {
    this.versions = String(ready);
  }

  /** @throws BackendError when there is no such Python, or it lacks a package. */
  static async start({ python, script, caseFile, threads }: TorchOptions): Promise<TorchChild> {
    const count = String(threads);
    const env = { ...process.env, OMP_NUM_THREADS: count, PYTHONDONTWRITEBYTECODE: '1' };
    const lines = new Lines(python, spawn(python, [script, caseFile, count], { env }));
    try {
      return new TorchChild(lines, (await lines.next()).ready);
    } catch (error) {
      lines.end();
      throw error;
    }
  }

  /** Runs once. @returns milliseconds as Python counts them */
  async run(): Promise<number> {
    const { ms } = await this.lines.ask('run');
    return this.milliseconds(ms);
  }

  /** Runs once. @returns milliseconds of each stage that is asked for, by the name of its result */
  async runStages<Stage extends string>(stages: readonly Stage[]): Promise<Readonly<Record<Stage, number>>> {
    const answer = await this.lines.ask('run');
    const ms = new Map(Object.entries(answer.stages ?? {}));
    return Object.fromEntries(stages.map((stage) => [stage, this.milliseconds(ms.get(stage))])) as Record<
      Stage,
      number
    >;
  }

  /** Writes the numbers of a result of the last run to a file. @returns its shape */
  async writeResult(path: string, result = 'output'): Promise<readonly number[]> {
    const { shape } = await this.lines.ask(`${result} ${path}`);
    if (!Array.isArray(shape)) throw this.lines.unexpected('a shape', shape);
    return shape.map(Number);
  }

  end(): void {
    this.lines.end();
  }

  private milliseconds(ms: unknown): number {
    if (typeof ms !== 'number' || !Number.isFinite(ms)) throw this.lines.unexpected('milliseconds', ms);
    return ms;
  }
}

/** The child's answers, each a line of JSON. */
class Lines {
  private readonly answers: AsyncIterator<string>;
  private readonly failed: Promise<never>;
  private complaint = '';

  constructor(
    private readonly python: string,
    private readonly child: ChildProcessWithoutNullStreams,
  ) {
    this.answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.on('data', (text) => {
      this.complaint = `${this.complaint}${text}`.slice(-MAX_COMPLAINT);
    });
    child.stdin.on('error', () => {}); // it has ended, which "close" tells
    this.failed = new Promise((_, reject) => {
      child.on('error', ({ message }) => reject(new BackendError(`--python ${python}: cannot be run: ${message}`)));
      child.on('close', (code, signal) => reject(this.ended(code ?? signal)));
    });
    this.failed.catch(() => {}); // heard by those who wait
  }

  ask(line: string): Promise<Readonly<Record<string, unknown>>> {
    this.child.stdin.write(`${line}\n`);
    return this.next();
  }

  /** @throws BackendError when the child ends, complains, or says something else. */
  async next(): Promise<Readonly<Record<string, unknown>>> {
    const { value, done } = await Promise.race([this.answers.next(), this.failed]);
    if (done) return this.failed; // the output ends before the process
    const answer = parsed(value);
    if (!answer) throw this.unexpected('a line of JSON', value);
    if (typeof answer.error === 'string') throw new BackendError(`--python ${this.python}: ${answer.error}`);
    return answer;
  }

  unexpected(expected: string, got: unknown): BackendError {
    return new BackendError(`--python ${this.python}: expected ${expected} of it, got ${JSON.stringify(got)}`);
  }

  end(): void {
    this.child.stdin.end();
    this.child.kill();
  }

  private ended(how: number | string | null): BackendError {
    const last = this.complaint.trim().split('\n').at(-1) ?? '';
    return new BackendError(`--python ${this.python}: ended with ${how}${last === '' ? '' : `: ${last}`}`);
  }
}

/** Of what the child writes to stderr; a traceback's last line says it. */
const MAX_COMPLAINT = 10_000;

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
