import { visible } from '../engine/errors.ts';
import type { MetricsLine } from './runFolder.ts';
import { duration, fixed, terminalWidth, wrapped } from './table.ts';
import { complain, jsonOf, print } from './text.ts';

/** Shows how a run goes: lines that renew themselves on a terminal, a plain line now and then elsewhere, JSON lines for programs. */
export class Progress {
  readonly #steps: number;
  readonly #stepsPerEpoch: number;
  readonly #style: 'renewed' | 'plain' | 'json' | 'quiet';
  readonly #started = performance.now();
  /** The first step, which compiles the plan and tells little of the others, and when it was done. */
  #first: { readonly step: number; readonly at: number } | null = null;
  #rankMe: number | undefined;
  #shown: readonly string[] = [];

  constructor({ steps, stepsPerEpoch, json, quiet }: { steps: number; stepsPerEpoch: number; json: boolean; quiet: boolean }) {
    this.#steps = steps;
    this.#stepsPerEpoch = stepsPerEpoch;
    this.#style = json ? 'json' : quiet ? 'quiet' : process.stdout.isTTY ? 'renewed' : 'plain';
  }

  step(line: MetricsLine): void {
    this.#first ??= { step: line.step, at: performance.now() };
    this.#rankMe = line.rankMe ?? this.#rankMe;
    if (this.#style === 'json') print(jsonOf({ event: 'step', ...line }));
    else if (this.#style === 'renewed') this.#renew(wrapped(this.#describe(line), terminalWidth() - 1, '  '));
    else if (
      this.#style === 'plain' &&
      (line.step === this.#first.step || (line.step % this.#stepsPerEpoch) % Math.ceil(this.#stepsPerEpoch / 4) === 0)
    )
      print(this.#describe(line).join('  '));
  }

  /** A message of its own line. What a person must know (`urgent`) is said even when all is quiet. */
  say(message: string, { urgent = false, ...fields }: Readonly<Record<string, unknown>> & { readonly urgent?: boolean } = {}): void {
    if (this.#style === 'json') print(jsonOf({ event: 'message', message, ...fields }));
    else if (this.#style !== 'quiet') process.stdout.write(`${this.#erased()}${visible(message)}\n${this.#shown.join('\n')}`);
    else if (urgent) complain(message);
  }

  /** Leaves the lines that renew themselves as they are. */
  end(): void {
    if (this.#shown.length > 0) process.stdout.write('\n');
    this.#shown = [];
  }

  #renew(lines: readonly string[]): void {
    process.stdout.write(this.#erased() + lines.join('\n'));
    this.#shown = lines;
  }

  /** What takes back the lines that are shown. */
  #erased(): string {
    const above = this.#shown.length - 1;
    return above < 0 ? '' : `\r${above > 0 ? `\x1b[${above}A` : ''}\x1b[J`;
  }

  #describe({ step, epoch, loss, parts, deviation, normalizedDeviation, correlation, imagesPerSecond }: MetricsLine): string[] {
    return [
      `epoch ${epoch + 1}/${this.#steps / this.#stepsPerEpoch}`,
      `step ${step}/${this.#steps}`,
      `${fixed(imagesPerSecond, 0)} images/s`,
      `${duration(this.#secondsLeft(step))} left`,
      `loss ${fixed(loss, 3)}`,
      ...Object.entries(parts).map(([name, value]) => `${name} ${fixed(value, 3)}`),
      `std ${fixed(deviation, 2)}`,
      `std_ℓ2 ${fixed(normalizedDeviation, 2)}`,
      `|corr| ${fixed(correlation, 3)}`,
      ...(this.#rankMe === undefined ? [] : [`RankMe ${fixed(this.#rankMe, 1)}`]),
    ];
  }

  #secondsLeft(step: number): number {
    const { step: first, at } = this.#first!;
    const perStep = step > first ? (performance.now() - at) / (step - first) : at - this.#started;
    return (perStep * (this.#steps - step)) / 1000;
  }
}
