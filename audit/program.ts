import type { ChildProcess } from 'node:child_process';
import { check } from '../engine/internal.ts';
import type { Matrix } from './arithmetic.ts';
import { type Answer, LossError, type NamedArray, type Question, type Subject, Unauditable, within } from './subject.ts';

export interface ProgramOptions {
  /** Seconds within which each question must be answered; 10, unless given. */
  readonly timeLimit?: number;
  /** Seconds for the first answer, until which a program may load what it needs; 60, unless given. */
  readonly startLimit?: number;
}

/** Names of element types, as NumPy has them. */
const names = { Float64Array: 'float64', Float32Array: 'float32', Int32Array: 'int32' } as const;
const dtypeOf = ({ data }: NamedArray): (typeof names)[keyof typeof names] =>
  data instanceof Float64Array ? names.Float64Array : data instanceof Float32Array ? names.Float32Array : names.Int32Array;

/** NaN and infinities, which JSON has no words for, and Python's writer puts all the same. */
const nonFinite: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

interface AnswerHeader {
  readonly id: number;
  readonly loss?: unknown;
  readonly error?: unknown;
  /** Names of the embeddings whose gradients follow, or null. */
  readonly gradients?: unknown;
}

/** A line as the header of an answer, or null for anything else that a program prints. */
function headerOf(line: string): AnswerHeader | null {
  // What was printed without an end of line stands before it.
  const from = line.indexOf('{"');
  if (from < 0) return null;
  try {
    const value: unknown = JSON.parse(line.slice(from).replace(/(?<=[:,[]\s*)(NaN|-?Infinity)\b/g, '"$1"'));
    return typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'number' ? (value as AnswerHeader) : null;
  } catch {
    return null;
  }
}

/** What a program may print that is no answer: the bytes of one line, and lines before the first answer. */
const MOST_IN_A_LINE = 2 ** 20;
const MOST_STRAY = 100_000;

const shownLine = (line: string): string => `'${line.slice(0, 120)}${line.length > 120 ? '…' : ''}'`;

/** What a program wrote on its standard output: lines, and bytes that a header announced. */
class Output {
  #buffer: Uint8Array = new Uint8Array();
  #wake: (() => void) | null = null;
  #ended: string | null = null;

  push(chunk: Uint8Array): void {
    const joined = new Uint8Array(this.#buffer.length + chunk.length);
    joined.set(this.#buffer);
    joined.set(chunk, this.#buffer.length);
    this.#buffer = joined;
    this.#wake?.();
  }

  /** Says that nothing more comes, and why. */
  end(reason: string): void {
    this.#ended ??= reason;
    this.#wake?.();
  }

  async #more(): Promise<void> {
    if (this.#ended !== null) throw new Unauditable(this.#ended);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
  }

  async line(): Promise<string> {
    for (let searched = 0; ; ) {
      const end = this.#buffer.indexOf(10, searched);
      if (end >= 0) {
        const text = new TextDecoder().decode(this.#buffer.subarray(0, end));
        this.#buffer = this.#buffer.slice(end + 1);
        return text;
      }
      searched = this.#buffer.length;
      if (searched > MOST_IN_A_LINE) throw new Unauditable(`the program printed ${MOST_IN_A_LINE} bytes without the end of a line`);
      await this.#more();
    }
  }

  async bytes(count: number): Promise<Uint8Array> {
    while (this.#buffer.length < count) await this.#more();
    const bytes = this.#buffer.slice(0, count);
    this.#buffer = this.#buffer.slice(count);
    return bytes;
  }
}

/**
 * A loss that a program computes, in any language: one process that is asked many times over its standard input, as docs/audit.md describes. It
 * starts with the first question, and is ended by `close`, by an answer that comes too late, and with this process. Node only.
 * @param command for the shell, as 'python3 my_loss.py'.
 */
export function programSubject(command: string, { timeLimit = 10, startLimit = Math.max(60, timeLimit) }: ProgramOptions = {}): Subject {
  check(
    typeof command === 'string' && command.trim() !== '',
    'argument',
    () => 'programSubject: takes a command for the shell, as "python3 my_loss.py"',
  );
  let running: { readonly child: ChildProcess; readonly output: Output } | null = null;
  let [id, answered] = [0, false];
  const stray: string[] = [];
  let strayLines = 0;
  let complaints = '';

  const start = async (): Promise<NonNullable<typeof running>> => {
    const { spawn } = await import('node:child_process');
    // A group of its own, so that what the shell started ends with it.
    const child = spawn(command, { shell: true, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const output = new Output();
    child.stdout.on('data', (chunk: Uint8Array) => output.push(chunk));
    child.stderr.on('data', (chunk: Uint8Array) => {
      complaints = (complaints + new TextDecoder().decode(chunk)).slice(-2000);
    });
    // Its end is told by 'close'; a write to one that has ended is no error of its own.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => output.end(`the program could not be started: ${error.message}`));
    child.on('close', (code, signal) => {
      const last = complaints.trim().split('\n').slice(-3).join(' | ');
      output.end(
        `the program ended ${code === null ? `by ${signal}` : `with code ${code}`}${answered ? '' : ' before it answered'}${last === '' ? '' : `: ${last}`}`,
      );
    });
    process.once('exit', close);
    return { child, output };
  };

  const close = (): void => {
    const child = running?.child;
    running = null;
    process.removeListener('exit', close);
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      child.kill('SIGKILL');
    }
  };

  const exchange = async (question: Question): Promise<Answer> => {
    running ??= await start();
    const { child, output } = running;
    id += 1;
    const arrays = [
      ...question.embeddings.map((array) => [array, 'embedding'] as const),
      ...question.state.map((array) => [array, 'state'] as const),
    ];
    const header = {
      id,
      arrays: arrays.map(([array, role]) => ({ name: array.name, role, dtype: dtypeOf(array), shape: array.shape })),
      options: question.options,
      gradients: question.gradients,
    };
    child.stdin!.write(`${JSON.stringify(header)}\n`);
    for (const [{ data }] of arrays) child.stdin!.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    let answer: AnswerHeader | null = null;
    while (answer === null) {
      const line = await output.line();
      const read = headerOf(line);
      const answers = read !== null && ('loss' in read || 'error' in read);
      // What would be waited for in vain is said at once.
      if (read?.id === id && !answers) throw new Unauditable(`the program answers with neither a loss nor an error: ${shownLine(line)}`);
      if (answers && read.id > id) throw new Unauditable(`the program answers ${shownLine(line)}; the id of the question is ${id}`);
      if (answers && read.id === id) answer = read;
      if (answers && line.startsWith('{')) continue;
      const text = line.slice(0, answers ? line.indexOf('{"') : 200);
      if (text.trim() !== '') {
        strayLines += 1;
        if (strayLines > MOST_STRAY && !answered)
          throw new Unauditable(`the program printed ${MOST_STRAY} lines before its first answer, as ${shownLine(text)}`);
        if (stray.length < 3) stray.push(text);
      }
    }
    answered = true;
    if (answer.error !== undefined) throw new LossError(String(answer.error));
    const loss = typeof answer.loss === 'string' ? nonFinite[answer.loss] : answer.loss;
    if (typeof loss !== 'number')
      throw new Unauditable(`the program answers with the loss ${JSON.stringify(answer.loss)}; it must be a number`);
    const gradients =
      answer.gradients === undefined || answer.gradients === null || answer.gradients === false
        ? null
        : await readGradients(answer.gradients, question, output);
    return { loss, gradients, next: {}, changed: [] };
  };

  return {
    title: command,
    parameters: 0,
    ask: async (question) => {
      try {
        return await within(exchange(question), (answered ? timeLimit : startLimit) * 1000, 'the program');
      } catch (error) {
        if (error instanceof Unauditable) close();
        throw error;
      }
    },
    remarks: () =>
      strayLines === 0
        ? []
        : [
            `the program printed ${strayLines} lines that are no answers, as ${stray.map((line) => `'${line.slice(0, 60)}'`).join(', ')}; they were passed over`,
          ],
    close,
  };
}

/** The gradients that follow a header: of the embeddings that it names, in that order; the others have zeros. */
async function readGradients(named: unknown, { embeddings }: Question, output: Output): Promise<readonly Matrix[]> {
  const names = named === true ? embeddings.map(({ name }) => name) : named;
  const known = Array.isArray(names) && names.every((name) => embeddings.some((array) => array.name === name));
  if (!known)
    throw new Unauditable(
      `the program answers with the gradients ${JSON.stringify(named)}; that must be a list of names of embeddings (${embeddings.map(({ name }) => name).join(', ')}), whose bytes follow`,
    );
  const read = new Map<string, Float64Array>();
  for (const name of names as readonly string[]) {
    const { data } = embeddings.find((array) => array.name === name)!;
    const bytes = await output.bytes(data.byteLength);
    read.set(name, data instanceof Float32Array ? Float64Array.from(new Float32Array(bytes.buffer)) : new Float64Array(bytes.buffer));
  }
  return embeddings.map(({ name, shape, data }) => ({
    rows: shape[0]!,
    columns: shape[1]!,
    data: read.get(name) ?? new Float64Array(data.length),
  }));
}
