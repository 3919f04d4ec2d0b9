import type { Dashboard } from '../models/train/dashboard.ts';
import type { MetricsLine } from './runFolder.ts';
import { Screen } from './screen.ts';
import { duration, fixed, percent } from './table.ts';

/** Shows how a run goes. */
export class Progress extends Screen {
  readonly #steps: number;
  readonly #stepsPerEpoch: number;
  readonly #started = performance.now();
  /** The first step, which compiles the plan and tells little of the others, and when it was done. */
  #first: { readonly step: number; readonly at: number } | null = null;
  #rankMe: number | undefined;

  constructor({ steps, stepsPerEpoch, ...style }: { steps: number; stepsPerEpoch: number; json: boolean; quiet: boolean }) {
    super(style);
    this.#steps = steps;
    this.#stepsPerEpoch = stepsPerEpoch;
  }

  step(line: MetricsLine): void {
    this.#first ??= { step: line.step, at: performance.now() };
    this.#rankMe = line.rankMe ?? this.#rankMe;
    if (this.style === 'json') this.event('step', { ...line });
    else if (line.dashboard) this.say(dashboardLine(line.step, line.dashboard));
    const due = line.step === this.#first.step || (line.step % this.#stepsPerEpoch) % Math.ceil(this.#stepsPerEpoch / 4) === 0;
    this.show(this.#describe(line), due);
  }

  #describe({
    step,
    epoch,
    loss,
    parts,
    deviation,
    normalizedDeviation,
    correlation,
    probeAccuracy,
    imagesPerSecond,
  }: MetricsLine): string[] {
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
      ...(probeAccuracy === undefined ? [] : [`probe ${percent(probeAccuracy)}`]),
      ...(this.#rankMe === undefined ? [] : [`RankMe ${fixed(this.#rankMe, 1)}`]),
    ];
  }

  #secondsLeft(step: number): number {
    const { step: first, at } = this.#first!;
    const perStep = step > first ? (performance.now() - at) / (step - first) : at - this.#started;
    return (perStep * (this.#steps - step)) / 1000;
  }
}

/** A look at the features, in a line. */
function dashboardLine(step: number, { spectrum, nearest, ...metrics }: Dashboard): string {
  const shown = [
    ['std', metrics.deviation, 3],
    ['std_ℓ2', metrics.normalizedDeviation, 2],
    ['|corr|', metrics.meanOffDiagonalCorrelation, 3],
    ['RankMe', metrics.rankMe, 1],
    ['centred', metrics.rankMeCentred, 1],
    ['α-ReQ', metrics.alphaReQ, 2],
    ['LiDAR', metrics.lidar, 1],
    ['alignment', metrics.alignment, 3],
    ['uniformity', metrics.uniformity, 2],
  ] as const;
  const neighbours = nearest === null ? '' : `, k-NN ${percent(nearest)}`;
  return `features at step ${step}: ${shown.map(([name, value, digits]) => `${name} ${fixed(value, digits)}`).join(', ')}, first of ${spectrum.length} directions ${percent(shareOfFirst(spectrum))} of the variance${neighbours}`;
}

function shareOfFirst(spectrum: readonly number[]): number {
  return (spectrum[0] ?? 0) / (spectrum.reduce((sum, value) => sum + value, 0) || 1);
}
