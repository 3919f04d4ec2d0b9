/** The lab: all levers and all pictures. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useRef } from 'preact/hooks';
import {
  type BackendName,
  initialSetting,
  type LeverName,
  type LeverRange,
  leversOf,
  type MethodName,
  levers as ranges,
  type Setting,
} from '../training/protocol.ts';
import { writeAddress } from './address.ts';
import { Button, Choice, Lever } from './controls.tsx';
import { Cloud } from './figures/cloud.tsx';
import { Accuracy, Deviations, Rank, Spectrum, Terms } from './figures/curves.tsx';
import { HeatMap } from './figures/heatMap.tsx';
import { Neighbours, Views } from './figures/pictures.tsx';
import { Plan } from './figures/plan.tsx';
import { download } from './files.ts';
import { reloadIsolates } from './isolation.ts';
import { locale, texts } from './locale.ts';
import { OwnImages } from './ownImages.tsx';
import { ask, change, levers, move, open, place, pull, setting, status } from './state.ts';
import { Reading } from './verdict.tsx';

const offeredTo = (name: LeverName): boolean => {
  const { methods }: LeverRange = ranges[name];
  return methods?.includes(setting.value.method) ?? false;
};

function Group({ title, children }: { readonly title: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <section class="group">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** On or off, for what a method may do without. */
function Switch({ name, label }: { readonly name: 'stopGradient' | 'whitening'; readonly label: string }): JSX.Element {
  const { on, off } = texts.value;
  return (
    <Choice
      label={label}
      choices={{ on, off }}
      value={setting.value[name] ? 'on' : 'off'}
      onChange={(value) => change({ [name]: value === 'on' })}
    />
  );
}

function Share(): JSX.Element {
  const said = useSignal<string | null>(null);
  const link = useSignal<string | null>(null);
  const { share, shared, shareByHand } = texts.value;
  const copy = async (): Promise<void> => {
    const hash = writeAddress({ at: 'lab', locale: locale.value, setting: setting.value, levers: levers.value });
    history.replaceState(null, '', hash);
    try {
      await navigator.clipboard.writeText(location.href);
      [said.value, link.value] = [shared, null];
    } catch {
      [said.value, link.value] = [shareByHand, location.href];
    }
  };
  return (
    <>
      <Button onClick={() => void copy()}>{share}</Button>
      <p class="small" role="status">
        {said.value}
      </p>
      {link.value && (
        <input class="link" readOnly value={link.value} aria-label={shareByHand} onFocus={({ currentTarget }) => currentTarget.select()} />
      )}
    </>
  );
}

function Run(): JSX.Element {
  const file = useRef<HTMLInputElement>(null);
  const words = texts.value;
  const save = async (kind: 'saved' | 'encoder'): Promise<void> => {
    const bytes = await ask(kind);
    const name = `${setting.value.method}-${status.value?.step ?? 0}`;
    download(kind === 'saved' ? `${name}.run.safetensors` : `${name}.encoder.safetensors`, bytes);
  };
  return (
    <div class="stack">
      <Share />
      <Button onClick={() => void save('saved')}>{words.save}</Button>
      <Button onClick={() => file.current?.click()}>{words.open}</Button>
      <Button onClick={() => void save('encoder')}>{words.download}</Button>
      <Button
        onClick={() => {
          change(initialSetting);
          pull(leversOf(initialSetting.method));
        }}
      >
        {words.reset}
      </Button>
      <input
        ref={file}
        type="file"
        accept=".safetensors"
        hidden
        aria-label={words.open}
        onChange={async ({ currentTarget }) => {
          const chosen = currentTarget.files?.[0];
          currentTarget.value = '';
          if (chosen) open(new Uint8Array(await chosen.arrayBuffer()));
        }}
      />
    </div>
  );
}

export function Machine(): JSX.Element {
  const { isolated, notIsolated, reload } = texts.value;
  return (
    <>
      <p class="small">{crossOriginIsolated ? isolated : notIsolated}</p>
      {reloadIsolates.value && <Button onClick={() => location.reload()}>{reload}</Button>}
    </>
  );
}

function Levers(): JSX.Element {
  const words = texts.value;
  const { method, branches, seed } = setting.value;
  const weights = (Object.keys(ranges) as LeverName[]).filter(offeredTo);
  return (
    <div class="levers">
      <Group title={words.groups.method}>
        <label class="select">
          <select
            aria-label={words.method}
            value={method}
            onChange={({ currentTarget }) => change({ method: currentTarget.value as MethodName })}
          >
            {(Object.entries(words.methods) as [MethodName, string][]).map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <p class="small">{words.families[method]}</p>
        {method === 'vicreg' && (
          <Choice
            label={words.branches}
            choices={words.branchChoices}
            value={branches}
            onChange={(value) => change({ branches: value as Setting['branches'] })}
          />
        )}
        {(method === 'simsiam' || method === 'byol') && <Switch name="stopGradient" label={words.stopGradient} />}
        {method === 'w-mse' && <Switch name="whitening" label={words.whitening} />}
      </Group>
      {weights.length > 0 && (
        <Group title={words.groups.terms}>
          {weights.map((name) => (
            <Lever key={name} name={name} />
          ))}
        </Group>
      )}
      <Group title={words.groups.training}>
        <Lever name="learningRate" />
        <Lever name="strength" />
        <div class="lever">
          <span>{words.seed}</span>
          <span class="value">{seed}</span>
          <Button onClick={() => change({ seed: (seed + 1) % 2 ** 31 })}>{words.newSeed}</Button>
        </div>
      </Group>
      <Group title={words.groups.machine}>
        <label class="select">
          <select
            aria-label={words.backend}
            value={place.value.backend}
            onChange={({ currentTarget }) => move({ backend: currentTarget.value as BackendName | 'auto' })}
          >
            {(Object.entries(words.backends) as [string, string][]).map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <Machine />
      </Group>
      <Group title={words.groups.run}>
        <Run />
      </Group>
    </div>
  );
}

export function Lab(): JSX.Element {
  return (
    <main id="content" class="lab" tabIndex={-1}>
      <h1 class="unseen">{texts.value.lab}</h1>
      <section class="bench">
        <Cloud />
        <Reading />
      </section>
      <Levers />
      <section class="figures">
        <div class="column">
          <Terms />
          <Accuracy />
          <Rank />
          <Neighbours />
        </div>
        <div class="column">
          <HeatMap />
          <Deviations />
          <Spectrum />
          <Views />
        </div>
        <div class="figure wide">
          <h2>{texts.value.stops[6]!.name}</h2>
          <OwnImages />
        </div>
        <Plan />
      </section>
    </main>
  );
}
