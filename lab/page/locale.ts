/** In which language the page speaks, and in which colours it is: signals, kept in the browser where it lets the page keep anything. */
import { computed, effect, signal } from '@preact/signals';
import { en, type Texts } from './texts/en.ts';
import { zh } from './texts/zh.ts';

export const locales = { en: 'English', zh: '中文' } as const;
export type Locale = keyof typeof locales;
const tables: { readonly [Name in Locale]: Texts } = { en, zh };

export const themes = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

/** What was kept, or null: storage may be forbidden. */
export function recall(name: string): string | null {
  try {
    return localStorage.getItem(`tensegrity-lab ${name}`);
  } catch {
    return null;
  }
}

/** Keeps a few bytes; without storage they hold for this visit. */
export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`tensegrity-lab ${name}`, value);
  } catch {
    // Full or forbidden: nothing is lost but a preference.
  }
}

export const isLocale = (text: string | null): text is Locale => text !== null && Object.hasOwn(locales, text);
const isTheme = (text: string | null): text is Theme => themes.some((each) => each === text);

const [keptLocale, keptTheme] = [recall('language'), recall('colours')];
export const locale = signal<Locale>(isLocale(keptLocale) ? keptLocale : navigator.language.startsWith('zh') ? 'zh' : 'en');
export const theme = signal<Theme>(isTheme(keptTheme) ? keptTheme : 'auto');
export const texts = computed(() => tables[locale.value]);

const systemDark = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener('change', () => {
  systemIsDark.value = systemDark.matches;
});
export const dark = computed(() => (theme.value === 'auto' ? systemIsDark.value : theme.value === 'dark'));

const stillness = matchMedia('(prefers-reduced-motion: reduce)');
export const still = signal(stillness.matches);
stillness.addEventListener('change', () => {
  still.value = stillness.matches;
});

effect(() => {
  document.documentElement.lang = texts.value.htmlLang;
  document.title = texts.value.title;
});
effect(() => {
  document.documentElement.dataset['theme'] = dark.value ? 'dark' : 'light';
});

export function speak(to: Locale): void {
  locale.value = to;
  keep('language', to);
}

export function paint(to: Theme): void {
  theme.value = to;
  keep('colours', to);
}

/** A number as it is read: few digits, the language's marks. */
export function number(value: number, digits = 2): string {
  return value.toLocaleString(texts.value.htmlLang, { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

export const percent = (share: number): string => `${number(100 * share, 0)}%`;

/** With as many digits as tell it from others of its size: 0.0051, 25. */
export const short = (value: number): string => value.toLocaleString(texts.value.htmlLang, { maximumSignificantDigits: 3 });

/** A class's name in the language, where there is one. */
export const className = (name: string): string => texts.value.classNames[name] ?? name;
