/**
 * What a link says: where in the page, in which language, and what was set, if it is not what everybody begins with. It stands behind the `#`, which no server is sent.
 * `#/tour/3`, `#/lab?method=byol&stopGradient=off&seed=2`.
 */
import { initialSetting, type LeverName, type Levers, levers, leversOf, methodNames, type Setting } from '../training/protocol.ts';

export interface Address {
  /** A stop of the tour, from 1, or the lab. */
  readonly at: number | 'lab';
  readonly locale: string | null;
  readonly setting: Setting;
  readonly levers: Levers;
  /** Whether it sets anything. */
  readonly given: boolean;
  /** Words of the link that say nothing, or something that cannot be. */
  readonly refused: readonly string[];
}

const integer = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  return text !== '' && Number.isInteger(value) && value >= least && value <= most ? value : undefined;
};
const oneOf =
  <Choice extends string>(choices: readonly Choice[]) =>
  (text: string) =>
    choices.find((each) => each === text);
const onOff = (text: string) => (text === 'on' ? true : text === 'off' ? false : undefined);

/** How each field of a setting is read; what cannot be is undefined. */
const readers: { readonly [Name in keyof Setting]: (text: string) => Setting[Name] | undefined } = {
  method: oneOf(methodNames),
  branches: oneOf(['shared', 'separate']),
  stopGradient: onOff,
  whitening: onOff,
  batchSize: integer(8, 1024),
  seed: integer(0, 2 ** 31 - 1),
};

const readLever = (name: LeverName, text: string): number | undefined => {
  const value = Number(text);
  const { least, most, scale } = levers[name];
  const within = (value >= least && value <= most) || (scale === 'logarithmicWithZero' && value === 0);
  return text.trim() !== '' && within ? value : undefined;
};

export function readAddress(hash: string, stops: number): Address {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [room, number = '1'] = path.split('/');
  const refused: string[] = [];
  const stop = integer(1, stops)(number);
  let at: Address['at'] = stop ?? 1;
  if (room === 'lab') at = 'lab';
  else if (path !== '' && (room !== 'tour' || stop === undefined)) refused.push(path);
  const setting: Record<string, unknown> = { ...initialSetting };
  const pulled: { [Name in LeverName]?: number } = {};
  let locale: string | null = null;
  let given = false;
  for (const [name, text] of new URLSearchParams(query)) {
    if (name === 'lang') locale = text;
    else if (Object.hasOwn(readers, name)) {
      const value = readers[name as keyof Setting](text);
      if (value === undefined) refused.push(`${name}=${text}`);
      else [setting[name], given] = [value, true];
    } else if (Object.hasOwn(levers, name)) {
      const value = readLever(name as LeverName, text);
      if (value === undefined) refused.push(`${name}=${text}`);
      else [pulled[name as LeverName], given] = [value, true];
    } else refused.push(`${name}=${text}`);
  }
  // Each field came from its own reader.
  const whole = setting as unknown as Setting;
  return { at, locale, setting: whole, levers: { ...leversOf(whole.method), ...pulled }, given, refused };
}

export function writeAddress({ at, locale, setting, levers: pulled }: Omit<Address, 'given' | 'refused'>): string {
  const query = new URLSearchParams();
  if (locale) query.set('lang', locale);
  for (const name of Object.keys(readers) as (keyof Setting)[]) {
    const value = setting[name];
    if (value === initialSetting[name]) continue;
    query.set(name, typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));
  }
  const initial = leversOf(setting.method);
  for (const name of Object.keys(levers) as LeverName[]) {
    if (pulled[name] !== initial[name]) query.set(name, String(Number(pulled[name].toPrecision(4))));
  }
  const words = query.toString();
  return `#/${at === 'lab' ? 'lab' : `tour/${at}`}${words === '' ? '' : `?${words}`}`;
}
