import { constants } from 'node:os';
import { adviceOn } from '../models/io/files.ts';
import { complain } from './text.ts';

/** A command that ended before its work was done; the message says how to go on. */
export class Stopped extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Ctrl-C, a kill, a terminal that was closed, and a reader of our output that has gone. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const;

/** While it lives, what would end the process from outside is noted instead, so that work can be saved first. Asked twice, the process ends at once. */
export class Interruption implements Disposable {
  #signal: (typeof signals)[number] | null = null;
  readonly #note = (signal: (typeof signals)[number]): void => {
    // A closed pipe complains at every line that is written to it.
    if (this.#signal !== null && signal !== 'SIGPIPE') process.exit(exitCodeOf(signal));
    this.#signal ??= signal;
  };

  constructor() {
    for (const signal of signals) process.on(signal, this.#note);
  }

  /** Lets signals arrive, which wait while plans run without a pause. @returns the exit code to end with, or null to go on. */
  async asked(): Promise<number | null> {
    await new Promise(setImmediate);
    return this.#signal && exitCodeOf(this.#signal);
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#note);
  }
}

/** As a shell reports a process that a signal has ended. */
function exitCodeOf(signal: (typeof signals)[number]): number {
  return 128 + constants.signals[signal];
}

/**
 * Ends the process quietly when a reader of its output has seen enough (`| head`), and with a complaint when its output cannot be written (a full
 * disk), unless an {@link Interruption} wants to save first.
 */
export function endWithReader(): void {
  let ended = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    const quiet = code === 'EPIPE';
    if (!quiet && !ended) complain(`tensegrity: cannot write the output: ${adviceOn(code) ?? message} (${code})`);
    ended = true;
    if (process.listenerCount('SIGPIPE') === 0) process.exit(quiet ? 0 : 1);
    process.emit('SIGPIPE', 'SIGPIPE');
  });
  // Where nobody hears a complaint, the exit code says it all the same.
  process.stderr.on('error', () => {});
}
