import type { MetricsLine } from './runFolder.ts';
import { duration, fixed } from './table.ts';

/** Shows how a run goes: one line that renews itself on a terminal, a plain line now and then elsewhere, JSON lines for programs. */
export class Progress {
  readonly #steps: number;
  readonly #stepsPerEpoch: number;
  readonly #style: 'line' | 'plain' | 'json' | 'quiet';
  readonly #started = performance.now();
  #first: number | null = null;
  #shown = '';

  constructor({ steps, stepsPerEpoch, json, quiet }: { steps: number; stepsPerEpoch: number; json: boolean; quiet: boolean }) {
    this.#steps = steps;
    this.#stepsPerEpoch = stepsPerEpoch;
    this.#style = json ? 'json' : quiet ? 'quiet' : process.stdout.isTTY ? 'line' : 'plain';
  }

  step(line: MetricsLine): void {
    this.#first ??= line.step;
    if (this.#style === 'quiet') return;
    if (this.#style === 'json') {
      console.log(JSON.stringify({ event: 'step', ...line }));
      return;
    }
    const text = this.#describe(line);
    if (this.#style === 'line') {
      this.#shown = text.slice(0, process.stdout.columns - 1);
      process.stdout.write(`\r\x1b[K${this.#shown}`);
    } else if (line.step === this.#first || line.step % Math.ceil(this.#stepsPerEpoch / 4) === 0 || line.step === this.#steps) {
      console.log(text);
    }
  }

  /** A message of its own line. */
  say(message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.#style === 'json') console.log(JSON.stringify({ event: 'message', message, ...fields }));
    else if (this.#style !== 'quiet') {
      if (this.#style === 'line' && this.#shown !== '') process.stdout.write('\r\x1b[K');
      console.log(message);
      if (this.#style === 'line') process.stdout.write(this.#shown);
    }
  }

  /** Leaves the line that renews itself. */
  end(): void {
    if (this.#style === 'line' && this.#shown !== '') process.stdout.write('\n');
    this.#shown = '';
  }

  #describe({ step, epoch, loss, parts, deviation, normalizedDeviation, correlation, imagesPerSecond }: MetricsLine): string {
    const done = step - (this.#first ?? step) + 1;
    const left = ((performance.now() - this.#started) / 1000 / done) * (this.#steps - step);
    const terms = Object.entries(parts).map(([name, value]) => `${name} ${fixed(value, 3)}`);
    return [
      `epoch ${epoch + 1}/${this.#steps / this.#stepsPerEpoch}`,
      `step ${step}/${this.#steps}`,
      `loss ${fixed(loss, 3)}${terms.length > 0 ? ` (${terms.join(', ')})` : ''}`,
      `std ${fixed(deviation, 2)}`,
      `std_ℓ2 ${fixed(normalizedDeviation, 2)}`,
      `|corr| ${fixed(correlation, 3)}`,
      `${fixed(imagesPerSecond, 0)} images/s`,
      `${duration(left)} left`,
    ].join('  ');
  }
}
