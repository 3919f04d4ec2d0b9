/** Where in the page the visitor is: a stop of the tour, or the lab. The address says it, so that the browser's own buttons work. */
import { signal } from '@preact/signals';

export const at = signal<number | 'lab'>(1);

export function go(to: number | 'lab'): void {
  location.hash = to === 'lab' ? '#/lab' : `#/tour/${to}`;
}
