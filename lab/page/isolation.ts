/** The service worker: it keeps the page for use offline and, where the host does not, isolates it, which threads need. */
import { signal } from '@preact/signals';
import { notice } from './state.ts';

/** Whether the page would be isolated if it were loaded again. */
export const reloadIsolates = signal(false);

export function keepOffline(): void {
  const { serviceWorker } = navigator;
  if (!import.meta.env.PROD || !serviceWorker) return;
  const offer = (): void => {
    reloadIsolates.value = !crossOriginIsolated && serviceWorker.controller !== null;
  };
  serviceWorker.addEventListener('controllerchange', offer);
  serviceWorker.addEventListener('message', ({ data }: MessageEvent<{ readonly storageFull?: string }>) => {
    if (data.storageFull !== undefined) notice('storageFull', data.storageFull);
  });
  serviceWorker.startMessages();
  offer();
  // Where it may not be registered (a private window, an insecure origin), the page does without.
  serviceWorker.register('./serviceWorker.js').catch(() => undefined);
}
