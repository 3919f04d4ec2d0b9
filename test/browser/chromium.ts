import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { unpacked } from '../support/unpack.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Chromium {
  readonly program: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** A headless Chromium out of the npm package @sparticuz/chromium, or why there is none that runs here. */
export function findChromium(): Chromium | { readonly missing: string } {
  try {
    const folder = unpacked('chromium', [{ file: 'chromium.br', program: 'chromium' }, { file: 'al2023.tar.br' }]);
    // The package brings libraries that not every system has.
    const chromium = { program: join(folder, 'chromium'), environment: { ...process.env, LD_LIBRARY_PATH: join(folder, 'lib') } };
    const { error, status, stderr } = spawnSync(chromium.program, ['--version'], {
      env: chromium.environment,
      encoding: 'utf8',
      timeout: 20_000,
      killSignal: 'SIGKILL',
    });
    if (error) throw error;
    return status === 0 ? chromium : { missing: stderr.split('\n')[0] ?? `it ends with code ${status}` };
  } catch (error) {
    return { missing: error instanceof Error ? error.message.split('\n')[0]! : String(error) };
  }
}

/** What the server says of a page: the first part of its path chooses. */
const headersOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  plain: {},
  isolated: { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' },
  workerless: {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'content-security-policy': "worker-src 'none'",
  },
};
export type Site = 'plain' | 'isolated' | 'workerless';

const types: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.html': 'text/html' };

/** A page that runs one function of page.mjs on the built package, and posts what it gives. */
const page = (task: string): string => `<!doctype html>
<script type="importmap">{ "imports": {
  "#wasm-module": "/isolated/dist/engine/backends/wasm/module-inline.js",
  "tensegrity": "/isolated/dist/engine/index.js"
} }</script>
<script type="module">
const post = (value) => fetch('/report', { method: 'POST', body: JSON.stringify(value) });
try {
  const tasks = await import('/isolated/test/browser/page.mjs');
  await post({ value: await tasks.${task}() });
} catch (error) {
  await post({ error: error.stack ?? String(error) });
}
</script>`;

interface Report {
  readonly value?: unknown;
  readonly error?: string;
}

/** How long a page may take before its browser is killed. */
const patience = 60_000;

/** Runs a function of page.mjs in a page of a site, in a browser of its own, and gives what it gave. @throws what it threw. */
export async function visit(chromium: Chromium, site: Site, task: string): Promise<unknown> {
  const profile = mkdtempSync(join(tmpdir(), 'tensegrity-browser-'));
  let settle: (report: Report) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const reported = new Promise<Report>((resolve, reject) => {
    [settle, fail] = [resolve, reject];
  });
  const server = createServer((request, response) => void answer(request, response).catch(fail));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, first, ...path] = new URL(request.url!, 'http://localhost').pathname.split('/');
    if (request.method === 'POST') {
      const report = await text(request);
      response.end();
      settle(JSON.parse(report) as Report);
    } else if (first! in headersOf) {
      const name = path.join('/');
      const type = types[extname(name)] ?? 'text/html';
      response.writeHead(200, { ...headersOf[first!], 'content-type': type });
      response.end(name === '' ? page(task) : readFileSync(join(root, name)));
    } else response.writeHead(404).end();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // The pipes for debugging are not used, but when this process ends they close, and then so does the browser.
  const switches = ['--headless', '--no-sandbox', '--no-zygote', '--disable-gpu', '--disable-dev-shm-usage', '--remote-debugging-pipe'];
  const browser = spawn(chromium.program, [...switches, `--user-data-dir=${profile}`, `http://127.0.0.1:${port}/${site}/`], {
    env: chromium.environment,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const ended = once(browser, 'exit');
  browser.once('error', fail);
  browser.once('exit', (code) => fail(new Error(`Chromium ended with code ${code}`)));
  const timer = setTimeout(() => fail(new Error(`${site}: ${task}() said nothing for ${patience / 1000} s`)), patience);
  try {
    const { value, error } = await reported;
    if (error !== undefined) throw new Error(`${site}: ${task}(): ${error}`);
    return value;
  } finally {
    clearTimeout(timer);
    browser.kill('SIGKILL');
    await ended;
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
