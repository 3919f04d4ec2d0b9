/**
 * Keeps the page for when there is no network, and says what makes it isolated (threads need that) where the host does not: every answer of this
 * site gets the two headers. Nothing else is fetched, kept or sent.
 */
declare const self: ServiceWorkerScope & { readonly __FILES__: readonly string[]; readonly __VERSION__: string };

/** What is used of `ServiceWorkerGlobalScope`, whose types cannot stand beside those of a page. */
interface ServiceWorkerScope {
  readonly location: Location;
  readonly clients: {
    claim(): Promise<void>;
    matchAll(options: { includeUncontrolled: boolean }): Promise<readonly { postMessage(message: unknown): void }[]>;
  };
  addEventListener(type: 'install' | 'activate', listener: (event: { waitUntil(promise: Promise<unknown>): void }) => void): void;
  addEventListener(
    type: 'fetch',
    listener: (event: { readonly request: Request; respondWith(response: Promise<Response>): void }) => void,
  ): void;
}

const prefix = 'tensegrity-lab-';
const name = prefix + self.__VERSION__;

async function tell(error: unknown): Promise<void> {
  if (!(error instanceof DOMException) || error.name !== 'QuotaExceededError') return;
  for (const page of await self.clients.matchAll({ includeUncontrolled: true })) page.postMessage({ storageFull: String(error) });
}

// Another version waits until no page of this one is open, so that each finds the files that it was built with.
self.addEventListener('install', (event) => {
  const kept = caches.open(name).then((cache) => cache.addAll(self.__FILES__));
  // Without room, or a file, it isolates the page all the same.
  event.waitUntil(kept.catch(tell));
});

self.addEventListener('activate', (event) => {
  const former = caches
    .keys()
    .then((names) => Promise.all(names.filter((each) => each.startsWith(prefix) && each !== name).map((each) => caches.delete(each))));
  event.waitUntil(former.then(() => self.clients.claim()));
});

function isolated(response: Response): Response {
  // An opaque answer cannot be read, so it cannot be made anew.
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set('cross-origin-opener-policy', 'same-origin');
  headers.set('cross-origin-embedder-policy', 'require-corp');
  headers.set('cross-origin-resource-policy', 'same-origin');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** From what is kept, which is of one version; the page's address may have a query. */
async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(name);
  const kept = await cache.match(request, { ignoreSearch: request.mode === 'navigate' });
  return isolated(kept ?? (await fetch(request)));
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  event.respondWith(answer(request));
});
