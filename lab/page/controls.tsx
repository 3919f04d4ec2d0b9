import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import { type LeverName, type LeverRange, levers as ranges } from '../training/protocol.ts';
import { short, texts } from './locale.ts';
import { lever, levers } from './state.ts';

const steps = 1000;

/** A lever's number as a place along its slider, 0 to `steps`, and back. */
export function toSlider(value: number, { least, most, scale }: LeverRange): number {
  if (scale === 'linear') return (steps * (value - least)) / (most - least);
  const share = Math.log(Math.max(value, least) / least) / Math.log(most / least);
  if (scale === 'logarithmic') return steps * share;
  return value < least ? 0 : 1 + (steps - 1) * share;
}

export function fromSlider(place: number, { least, most, scale }: LeverRange): number {
  if (scale === 'linear') return Number((least + ((most - least) * place) / steps).toPrecision(4));
  if (scale === 'logarithmicWithZero' && place < 1) return 0;
  const share = scale === 'logarithmic' ? place / steps : (place - 1) / (steps - 1);
  return Number((least * (most / least) ** share).toPrecision(3));
}

/** One of the numbers that are moved while it trains. */
export function Lever({
  name,
  large = false,
  label,
}: {
  readonly name: LeverName;
  readonly large?: boolean;
  readonly label?: string;
}): JSX.Element {
  const id = useId();
  const range: LeverRange = ranges[name];
  const value = levers.value[name];
  const shown = value === 0 ? '0' : short(value);
  return (
    <div class={large ? 'lever large' : 'lever'}>
      <label for={id}>{label ?? texts.value.levers[name]}</label>
      <span class="value" aria-hidden="true">
        {shown}
      </span>
      <input
        id={id}
        type="range"
        min={0}
        max={steps}
        step={range.scale === 'linear' ? steps / 100 : 10}
        value={toSlider(value, range)}
        aria-valuetext={shown}
        style={{ '--filled': `${toSlider(value, range) / 10}%` }}
        onInput={({ currentTarget }) => lever(name, fromSlider(Number(currentTarget.value), range))}
        title={texts.value.leverHelp[name]}
      />
    </div>
  );
}

/** One of a few, side by side. */
export function Choice<Value extends string>(properties: {
  readonly label: string;
  readonly choices: Readonly<Record<Value, string>>;
  readonly value: Value | null;
  readonly onChange: (value: Value) => void;
  readonly large?: boolean;
  readonly hidden?: boolean;
}): JSX.Element {
  const { label, choices, value, onChange, large = false, hidden = false } = properties;
  const name = useId();
  return (
    <fieldset class={large ? 'choice large' : 'choice'}>
      <legend class={hidden ? 'unseen' : undefined}>{label}</legend>
      <div class="segments">
        {(Object.entries(choices) as [Value, string][]).map(([each, words]) => (
          <label key={each}>
            <input type="radio" name={name} value={each} checked={each === value} onChange={() => onChange(each)} />
            <span>{words}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

export function Button(properties: {
  readonly onClick: () => void;
  readonly children: ComponentChildren;
  readonly kind?: 'button' | 'primary' | 'text';
  readonly disabled?: boolean;
  readonly label?: string;
}): JSX.Element {
  const { onClick, children, kind = 'button', disabled = false, label } = properties;
  return (
    <button type="button" class={kind} onClick={onClick} disabled={disabled} {...(label ? { 'aria-label': label } : {})}>
      {children}
    </button>
  );
}

const icons = {
  run: <path d="M6 4l10 6-10 6z" fill="currentColor" stroke="none" />,
  pause: <path d="M7 4v12M13 4v12" />,
  step: <path d="M5 4.5l7 5.5-7 5.5zM15 4.5v11" />,
  restart: <path d="M15.5 10a5.5 5.5 0 1 1-1.7-4M14 2.8V6h-3.2" />,
  auto: <path d="M10 3.5a6.5 6.5 0 0 1 0 13z M10 3.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13" />,
  light: (
    <path d="M10 6.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7M10 1.8v1.7M10 16.5v1.7M1.8 10h1.7M16.5 10h1.7M4.2 4.2l1.2 1.2M14.6 14.6l1.2 1.2M4.2 15.8l1.2-1.2M14.6 5.4l1.2-1.2" />
  ),
  dark: <path d="M15.8 12.2A6.5 6.5 0 0 1 7.8 4.2a6.5 6.5 0 1 0 8 8z" />,
} as const;

export const Icon = ({ name }: { readonly name: keyof typeof icons }): JSX.Element => (
  <svg
    viewBox="0 0 20 20"
    width="20"
    height="20"
    fill="none"
    stroke="currentColor"
    stroke-width="1.6"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    {icons[name]}
  </svg>
);
