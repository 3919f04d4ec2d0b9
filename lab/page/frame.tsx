/** What is around the tour and the lab: where one is, the transport of the training, what has to be said. */
import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { Button, Icon } from './controls.tsx';
import { droppedFiles } from './files.ts';
import { reloadIsolates } from './isolation.ts';
import { type Locale, locale, locales, number, paint, speak, type Theme, texts, theme, themes } from './locale.ts';
import { take } from './ownImages.tsx';
import { at, go } from './route.ts';
import { dismiss, latest, notices, pause, restart, run, speed, status, step, wanted } from './state.ts';
import { stops } from './tour.tsx';

export function Header(): JSX.Element {
  const { tour, lab, language, themeLabel, theme: names, skip } = texts.value;
  const room = at.value === 'lab' ? 'lab' : 'tour';
  return (
    <header>
      <button type="button" class="skip" onClick={() => document.getElementById('content')?.focus()}>
        {skip}
      </button>
      <a class="wordmark" href="#/tour/1">
        tensegrity
      </a>
      <nav aria-label="tensegrity">
        <a href={`#/tour/${typeof at.value === 'number' ? at.value : 1}`} aria-current={room === 'tour' ? 'page' : undefined}>
          {tour}
        </a>
        <a href="#/lab" aria-current={room === 'lab' ? 'page' : undefined}>
          {lab}
        </a>
      </nav>
      <div class="preferences">
        <fieldset class="choice quiet">
          <legend class="unseen">{language}</legend>
          <div class="segments">
            {(Object.entries(locales) as [Locale, string][]).map(([name, title]) => (
              <label key={name} lang={name === 'zh' ? 'zh-Hans' : name}>
                <input type="radio" name="language" checked={locale.value === name} onChange={() => speak(name)} />
                <span>{title}</span>
              </label>
            ))}
          </div>
        </fieldset>
        <button
          type="button"
          class="round theme"
          aria-label={`${themeLabel}: ${names[theme.value]}`}
          title={`${themeLabel}: ${names[theme.value]}`}
          onClick={() => paint(themes[(themes.indexOf(theme.value) + 1) % themes.length] as Theme)}
        >
          <Icon name={theme.value} />
        </button>
      </div>
    </header>
  );
}

function Transport(): JSX.Element {
  const words = texts.value;
  const going = wanted.value === 'running';
  const phase = status.value?.phase ?? 'loading';
  const where = status.value?.at;
  const steps = latest.value?.step ?? status.value?.step ?? 0;
  const rate = going && speed.value !== null ? number(speed.value, speed.value < 10 ? 1 : 0) : null;
  return (
    <section class="transport" aria-label={words.transport}>
      <button
        type="button"
        class="round primary"
        aria-label={going ? words.pause : words.run}
        title={going ? words.pause : words.run}
        onClick={going ? pause : run}
      >
        <Icon name={going ? 'pause' : 'run'} />
      </button>
      <button type="button" class="round" aria-label={words.step} title={words.step} onClick={step}>
        <Icon name="step" />
      </button>
      <button type="button" class="round" aria-label={words.restart} title={words.restart} onClick={restart}>
        <Icon name="restart" />
      </button>
      <p class="running">
        <span>{phase === 'running' || phase === 'paused' ? words.atStep(number(steps, 0), rate) : words.phases[phase]}</span>
        {where && <span class="faint">{words.place(where.backend, where.threads)}</span>}
      </p>
    </section>
  );
}

export function Footer(): JSX.Element {
  const { back, next, toLab, tour, private: isPrivate } = texts.value;
  const here = at.value;
  return (
    <footer>
      <Transport />
      {here === 'lab' ? (
        <p class="faint private">{isPrivate}</p>
      ) : (
        <nav class="steps" aria-label={tour}>
          <ol class="plain">
            {stops.map((_, i) => (
              <li key={texts.value.stops[i]!.name}>
                <a href={`#/tour/${i + 1}`} aria-current={here === i + 1 ? 'step' : undefined} title={texts.value.stops[i]!.name}>
                  <span class="dot" aria-hidden="true" />
                  <span class="unseen">{`${i + 1}. ${texts.value.stops[i]!.name}`}</span>
                </a>
              </li>
            ))}
          </ol>
          <Button kind="text" disabled={here === 1} onClick={() => go(here - 1)}>
            {back}
          </Button>
          <Button kind="primary" onClick={() => go(here === stops.length ? 'lab' : here + 1)}>
            {here === stops.length ? toLab : next}
          </Button>
        </nav>
      )}
    </footer>
  );
}

export function Notices(): JSX.Element | null {
  const words = texts.value;
  if (notices.value.length === 0) return null;
  return (
    <section class="notices" aria-label={words.noticesLabel}>
      {notices.value.map(({ name, message }) => (
        <div key={name} class="notice" role="alert">
          <div>
            <p>
              <strong>{words.notices[name].title}</strong> {words.notices[name].remedy}
            </p>
            {message !== '' && (
              <details>
                <summary>{words.details}</summary>
                <p lang="en">{message}</p>
              </details>
            )}
          </div>
          {name === 'oneThread' && reloadIsolates.value && <Button onClick={() => location.reload()}>{words.reload}</Button>}
          <Button kind="text" onClick={() => dismiss(name)}>
            {words.dismiss}
          </Button>
        </div>
      ))}
    </section>
  );
}

/** The whole page takes files that are dropped on it. */
export function DropZone(): JSX.Element | null {
  const over = useSignal(false);
  useEffect(() => {
    let inside = 0;
    const bringsFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
    const listeners = {
      dragenter: (event: DragEvent) => {
        if (!bringsFiles(event)) return;
        inside += 1;
        over.value = true;
      },
      dragleave: (event: DragEvent) => {
        if (!bringsFiles(event)) return;
        inside = Math.max(0, inside - 1);
        over.value = inside > 0;
      },
      dragover: (event: DragEvent) => {
        if (bringsFiles(event)) event.preventDefault();
      },
      drop: (event: DragEvent) => {
        if (!event.dataTransfer || !bringsFiles(event)) return;
        event.preventDefault();
        inside = 0;
        over.value = false;
        void droppedFiles(event.dataTransfer).then(take);
      },
    };
    const all = Object.entries(listeners) as [string, EventListener][];
    for (const [name, listener] of all) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of all) removeEventListener(name, listener);
    };
  }, [over]);
  return over.value ? <div class="dropping">{texts.value.dropHere}</div> : null;
}
