import { expect } from 'vitest';

/** Elements without content, which nothing closes. */
const EMPTY = ['meta', 'img', '!doctype'];

/**
 * Holds a page to what each page is held to: every element that is opened is closed, in order; no script, nothing loaded from elsewhere; every picture
 * says what it shows; nothing that JavaScript prints for want of a number.
 */
export function expectWhole(page: string): void {
  const open: string[] = [];
  for (const [tag, slash, name, own] of page.matchAll(/<(\/?)([a-z0-9!]+)(?:"[^"]*"|[^">])*?(\/?)>/g)) {
    if (own === '/' || EMPTY.includes(name!)) continue;
    if (slash === '') open.push(name!);
    else expect(open.pop(), tag).toBe(name);
  }
  expect(open).toEqual([]);
  expect(page).not.toMatch(/<script|<iframe|<link|\son\w+="|javascript:/i);
  for (const [, address] of page.matchAll(/(?:src|href)="([^"]*)"/g)) expect(address).toMatch(/^data:image\/png;base64,/);
  expect(page).not.toMatch(/url\(|@import/);
  for (const [image] of page.matchAll(/<img [^>]*>/g)) expect(image).toMatch(/ alt="[^"]+"/);
  for (const [picture] of page.matchAll(/<svg [^>]*>/g)) expect(picture).toMatch(/role="img" aria-label="[^"]+"|aria-hidden="true"/);
  // A monitor says so of a loss in words.
  const drawn = page
    .replace(/<style>.*?<\/style>/s, '')
    .replaceAll(/base64,[\w+/=]*/g, '')
    .replaceAll(/the loss is -?(NaN|Infinity|null)/g, '');
  expect(drawn).not.toMatch(/NaN|undefined|Infinity|\[object/);
}

/** What is in elements named so, without tags. */
export function textsOf(page: string, element: string): string[] {
  return [...page.matchAll(new RegExp(`<${element}\\b[^>]*>(.*?)</${element}>`, 'gs'))].map(([, text]) => text!.replaceAll(/<[^>]*>/g, ''));
}
