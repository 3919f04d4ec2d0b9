/** The tour: seven stops, each of one screen, with its text, one lever, and what shows what the lever does. */
import type { ComponentChildren, JSX } from 'preact';
import { initialLevers, initialSetting, type Levers, leversOf, type Setting } from '../training/protocol.ts';
import { Choice, Lever } from './controls.tsx';
import { Cloud } from './figures/cloud.tsx';
import { Deviations, Spectrum } from './figures/curves.tsx';
import { HeatMap } from './figures/heatMap.tsx';
import { Neighbours, Views } from './figures/pictures.tsx';
import { texts } from './locale.ts';
import { OwnImages } from './ownImages.tsx';
import { change, levers, pull, restart, setting } from './state.ts';
import type { StopText } from './texts/en.ts';
import { Reading } from './verdict.tsx';

interface Stop {
  /** Where it begins; the rest is as everywhere. */
  readonly setting?: Partial<Setting>;
  readonly levers?: Partial<Levers>;
  readonly lever: (text: StopText) => JSX.Element;
  /** The picture that matters, and those beside it. */
  readonly main: () => JSX.Element;
  readonly beside?: () => ComponentChildren;
}

const agreementAlone: Partial<Levers> = { variance: 0, covariance: 0 };
const weights: Partial<Levers> = {
  variance: initialLevers.variance,
  covariance: initialLevers.covariance,
  invariance: initialLevers.invariance,
};

/** Positions of a lever, each with the levers that it sets; it stands at the one that they are at. */
function Positions({
  text,
  positions,
}: {
  readonly text: StopText;
  readonly positions: Readonly<Record<string, Partial<Levers>>>;
}): JSX.Element {
  const at = Object.keys(positions).find((name) =>
    Object.entries({ ...weights, ...positions[name] }).every(([lever, value]) => levers.value[lever as keyof Levers] === value),
  );
  return (
    <Choice
      large
      label={text.lever}
      choices={text.choices}
      value={at ?? null}
      onChange={(name) => pull({ ...weights, ...positions[name] })}
    />
  );
}

export const stops: readonly Stop[] = [
  {
    levers: agreementAlone,
    lever: (text) => <Positions text={text} positions={{ agreement: agreementAlone, spread: {} }} />,
    main: () => <Cloud quiet legend={false} />,
    beside: () => <Views quiet most={5} />,
  },
  {
    setting: { method: 'simclr' },
    lever: (text) => (
      <Choice
        large
        label={text.lever}
        choices={text.choices}
        value={setting.value.method}
        onChange={(method) => {
          change({ method: method as Setting['method'] });
          restart();
        }}
      />
    ),
    main: () => <Cloud quiet />,
  },
  {
    setting: { method: 'w-mse' },
    lever: (text) => (
      <Choice
        large
        label={text.lever}
        choices={text.choices}
        value={setting.value.whitening ? 'on' : 'off'}
        onChange={(position) => change({ whitening: position === 'on' })}
      />
    ),
    main: () => <Cloud quiet />,
    beside: () => <Spectrum height={150} />,
  },
  {
    setting: { method: 'barlow-twins' },
    lever: (text) => <Lever large name="offDiagonal" label={text.lever} />,
    main: () => <HeatMap quiet />,
    beside: () => <Cloud quiet legend={false} />,
  },
  {
    lever: (text) => <Lever large name="variance" label={text.lever} />,
    main: () => <Deviations quiet height={innerWidth < 820 ? 220 : 380} />,
    beside: () => <Cloud quiet legend={false} />,
  },
  {
    lever: (text) => (
      <Positions
        text={text}
        positions={{ none: {}, variance: { variance: 0 }, covariance: { covariance: 0 }, invariance: { invariance: 0 } }}
      />
    ),
    main: () => <Cloud quiet legend={false} />,
    beside: () => (
      <>
        <Deviations quiet height={170} />
        <HeatMap quiet />
      </>
    ),
  },
  {
    lever: () => <OwnImages />,
    main: () => <Cloud quiet pictures legend={false} />,
    beside: () => <Neighbours quiet />,
  },
];

/** Has the training be what a stop speaks of, from its beginning. */
export function enter(number: number): void {
  const stop = stops[number - 1]!;
  const begun = { ...initialSetting, seed: setting.value.seed, ...stop.setting };
  change(begun);
  pull({ ...leversOf(begun.method), ...stop.levers });
  restart();
}

export function Tour({ stop: number }: { readonly stop: number }): JSX.Element {
  const stop = stops[number - 1]!;
  const text = texts.value.stops[number - 1]!;
  return (
    <main id="content" class="tour" tabIndex={-1}>
      <section class="words">
        <p class="place">{texts.value.stopOf(number, stops.length)}</p>
        <h1>{text.title}</h1>
        {text.paragraphs.map((paragraph) => (
          <p key={paragraph}>{paragraph}</p>
        ))}
        <div class="hand">{stop.lever(text)}</div>
        <Reading />
        <p class="watch">{text.watch}</p>
      </section>
      {/* Each stop has pictures of its own. */}
      <section class={`stage stage-${number}`} key={number} aria-label={text.name}>
        <div class="main">{stop.main()}</div>
        {stop.beside && <div class="beside">{stop.beside()}</div>}
      </section>
    </main>
  );
}
