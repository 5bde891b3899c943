import { Worker } from 'node:worker_threads';

/** Answers the questions that `answer` of the program, which stands before it, is asked. */
const ANSWERING = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', ({ id, question }) => {
  const tell = (done) => parentPort.postMessage({ id, done });
  try {
    parentPort.postMessage({ id, answer: answer(question, tell) });
  } catch ({ message, code }) {
    parentPort.postMessage({ id, failure: { message, code } });
  }
});`;

type Reply<Answer> = { readonly id: number } & (
  | { readonly done: number }
  | { readonly answer: Answer }
  | { readonly failure: { readonly message: string; readonly code?: string } }
);

interface Waiting<Answer> {
  readonly tell: (done: number) => void;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** A thread that is asked one question after the other. `end` stops it, whether it is done or not. Needs Node. */
export class Thread<Question, Answer> {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting<Answer>>();
  private asked = 0;

  /**
   * @param program CommonJS, as text, so that it needs no file of its own: `function answer(question, tell)`, where
   * `tell(done)` says how far it is
   */
  constructor(program: string) {
    this.worker = new Worker(`${program}${ANSWERING}`, { eval: true });
    this.worker.on('message', (reply: Reply<Answer>) => this.receive(reply));
    this.worker.on('error', (error) => {
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    });
  }

  /**
   * Memory that is not shared is copied.
   * @throws what `answer` does, by message and code, and what `tell` does
   */
  ask(question: Question, tell: (done: number) => void = () => {}): Promise<Answer> {
    const id = this.asked++;
    const answered = new Promise<Answer>((resolve, reject) => this.waiting.set(id, { tell, resolve, reject }));
    answered.catch(() => {}); // told when it is asked for
    this.worker.postMessage({ id, question });
    return answered;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private receive(reply: Reply<Answer>): void {
    const waiting = this.waiting.get(reply.id);
    if (!('done' in reply)) this.waiting.delete(reply.id);
    try {
      if ('done' in reply) waiting?.tell(reply.done);
      else if ('answer' in reply) waiting?.resolve(reply.answer);
      else waiting?.reject(Object.assign(new Error(reply.failure.message), { code: reply.failure.code }));
    } catch (error) {
      waiting?.reject(error as Error);
    }
  }
}
