import { effect, signal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Verdict } from '../training/protocol.ts';
import { number, texts } from './locale.ts';
import { batch, cloud, latest, status } from './state.ts';

/** What was measured, as a sentence. */
function sentence({ state, measured }: Verdict): string {
  const { verdicts } = texts.value;
  const value = measured ? number(measured.value) : '';
  if (state === 'collapsed') {
    if (measured?.name === 'directions') return verdicts.collapsedDirection(value);
    return measured?.name === 'correlation' ? verdicts.redundant(value) : verdicts.collapsedPoint(value);
  }
  if (state === 'redundant') return verdicts.redundant(value);
  if (state === 'healthy') {
    const { deviation, directions } = latest.value ?? { deviation: 0, directions: 0 };
    // What is compared on the sphere has no scale of its own.
    return cloud.value?.geometry === 'sphere' ? verdicts.healthyDirections(number(directions)) : verdicts.healthy(number(deviation));
  }
  return verdicts[state];
}

/** How the embedding does, in words and with a mark whose form says it, too. */
export function Reading(): JSX.Element {
  const verdict = batch.value?.verdict ?? { state: 'early', measured: null, message: null };
  return (
    <p class={`reading reading-${verdict.state}`}>
      <span class="mark" aria-hidden="true" />
      {sentence(verdict)}
    </p>
  );
}

/** What is said to those who do not see: changes of how it does, never numbers as they run. */
const said = signal('');
let [lastState, lastPhase, lastTime] = ['', '', 0];
let pending: ReturnType<typeof setTimeout> | null = null;

effect(() => {
  const state = batch.value?.verdict.state ?? 'early';
  const phase = status.value?.phase ?? 'loading';
  const words = texts.value;
  if (state === lastState && phase === lastPhase) return;
  const sentences: string[] = [];
  if (phase !== lastPhase && (phase === 'running' || phase === 'paused'))
    sentences.push(phase === 'running' ? words.announceRunning : words.announcePaused);
  if (state !== lastState && state !== 'early' && batch.value) sentences.push(sentence(batch.value.verdict));
  [lastState, lastPhase] = [state, phase];
  if (sentences.length === 0) return;
  if (pending !== null) clearTimeout(pending);
  // Not more often than they can be heard; the last counts.
  const wait = Math.max(0, lastTime + 4000 - performance.now());
  pending = setTimeout(() => {
    pending = null;
    lastTime = performance.now();
    said.value = sentences.join(' ');
  }, wait);
});

export const Announcer = (): JSX.Element => (
  <p class="unseen" role="status">
    {said.value}
  </p>
);
