import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Reply, Request } from './protocol.ts';

/** What came of a request: a reply, or that none came. */
export type Outcome = Reply | { readonly exceeded: number };

/** The parent's end of a contestant's process. It is killed when a reply takes too long, and answers no more. */
export class Child {
  readonly #process: ChildProcess;
  readonly #replies: AsyncIterator<string>;
  readonly #complaints: string[] = [];
  /** Whether it may still answer. */
  alive = true;

  constructor(command: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const [program, ...parameters] = command;
    this.#process = spawn(program!, parameters, {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    });
    // A program that is not there, or that ends before it has read everything, is seen as one that does not answer.
    this.#process.on('error', (error) => this.#complaints.push(error.message));
    this.#process.stdin!.on('error', () => {});
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => this.#complaints.push(text));
    this.#replies = createInterface({ input: this.#process.stdio[3] as Readable })[Symbol.asyncIterator]();
  }

  async ask(request: Request, milliseconds: number): Promise<Outcome> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), milliseconds);
    });
    this.#process.stdin!.write(`${JSON.stringify(request)}\n`);
    const answer = await Promise.race([this.#replies.next(), late]);
    clearTimeout(timer);
    if (answer === 'late') {
      this.stop();
      return { exceeded: milliseconds / 1000 };
    }
    if (answer.done) {
      this.alive = false;
      return { cannot: `it stopped${this.#lastWords()}` };
    }
    return JSON.parse(answer.value) as Reply;
  }

  /** Seconds of processors that it has used, all of its threads; NaN where the system has no /proc. */
  cpuSeconds(): number {
    try {
      // After the name, which may have spaces: the 12th and 13th fields, in hundredths.
      const fields = readFileSync(`/proc/${this.#process.pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      return NaN;
    }
  }

  stop(): void {
    this.alive = false;
    this.#process.kill('SIGKILL');
  }

  /** What it said of its end: the first line that looks like an error, or the last one. */
  #lastWords(): string {
    const lines = this.#complaints
      .join('')
      .split('\n')
      .filter((line) => line.trim() !== '');
    const line = lines.find((text) => /error/i.test(text)) ?? lines.at(-1);
    return line === undefined ? '' : `: ${line.trim().slice(0, 120)}`;
  }
}
