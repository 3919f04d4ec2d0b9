import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
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
    const folder = unpacked('chromium-with-gpu', [
      { file: 'chromium.br', program: 'chromium' },
      { file: 'al2023.tar.br' },
      { file: 'swiftshader.tar.br' },
    ]);
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
  // The page's own script is inline.
  blobless: {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'content-security-policy': "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'",
  },
  wasmless: { 'content-security-policy': "script-src 'self' 'unsafe-inline'" },
};
export type Site = 'plain' | 'isolated' | 'workerless' | 'blobless' | 'wasmless';

const scripts: ReadonlySet<string> = new Set(['.js', '.mjs', '.ts']);

/** A file of the project as a page takes it: without types. */
function served(name: string): { readonly type: string; readonly content: Buffer | string } {
  // Packages name some of their modules without the extension.
  const path = join(root, existsSync(join(root, name)) ? name : `${name}.js`);
  const type = scripts.has(extname(path)) ? 'text/javascript' : 'text/html';
  const content = readFileSync(path);
  return { type, content: extname(path) === '.ts' ? stripTypeScriptTypes(content.toString()) : content };
}

/** A page that runs one function of a module of this folder, and posts what it gives. By its name the package is the built one. */
const page = ({ module = 'page.mjs', task, argument = null }: Visit): string => `<!doctype html>
<script type="importmap">{ "imports": {
  "#wasm-module": "/isolated/dist/engine/backends/wasm/module-inline.js",
  "tensegrity": "/isolated/dist/engine/index.js",
  "fast-check": "/isolated/node_modules/fast-check/lib/fast-check.js",
  "pure-rand/": "/isolated/node_modules/pure-rand/lib/esm/"
} }</script>
<script type="module">
const post = (value) => fetch('/report', { method: 'POST', body: JSON.stringify(value) });
try {
  const tasks = await import('/isolated/test/browser/${module}');
  await post({ value: await tasks.${task}(${JSON.stringify(argument)}) });
} catch (error) {
  await post({ error: error.stack ?? String(error) });
}
</script>`;

/** What a page is asked to do. */
export interface Visit {
  readonly site: Site;
  /** A module of this folder, and a function of it. */
  readonly module?: string;
  readonly task: string;
  /** What the function is given: anything that JSON holds. */
  readonly argument?: unknown;
  /** Whether it is to find a GPU: SwiftShader, a CPU's imitation of one. */
  readonly gpu?: boolean;
  /** How long it may take before its browser is killed, in milliseconds. */
  readonly patience?: number;
}

interface Report {
  readonly value?: unknown;
  readonly error?: string;
}

const gpuSwitches = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** Has a page of a site do something, in a browser of its own, and gives what it gave. @throws what it threw. */
export async function visit(chromium: Chromium, asked: Visit): Promise<unknown> {
  const { site, task, gpu = false, patience = 60_000 } = asked;
  const profile = mkdtempSync(join(tmpdir(), 'tensegrity-browser-'));
  let settle: (report: Report) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const reported = new Promise<Report>((resolve, reject) => {
    [settle, fail] = [resolve, reject];
  });
  const server = createServer((request, response) => void answer(request, response).catch(fail));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, first, ...path] = new URL(request.url!, 'http://localhost').pathname.split('/');
    if (request.method === 'POST' && first === 'hide') {
      await minimize(browser);
      response.end();
    } else if (request.method === 'POST') {
      const report = await text(request);
      response.end();
      settle(JSON.parse(report) as Report);
    } else if (first! in headersOf) {
      const name = path.join('/');
      const { type, content } = name === '' ? { type: 'text/html', content: page(asked) } : served(name);
      response.writeHead(200, { ...headersOf[first!], 'content-type': type });
      response.end(content);
    } else response.writeHead(404).end();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // When this process ends the pipes for debugging close, and then so does the browser.
  const switches = ['--headless', '--no-sandbox', '--no-zygote', '--disable-dev-shm-usage', '--remote-debugging-pipe'];
  switches.push(...(gpu ? gpuSwitches : ['--disable-gpu']));
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

/** Minimises the window of a browser's page, by the DevTools protocol: then it is hidden, no frames are drawn, and timers run once a second. */
async function minimize(browser: ChildProcess): Promise<void> {
  const [commands, answers] = [browser.stdio[3] as Writable, browser.stdio[4] as Readable];
  const waiting = new Map<number, (answer: unknown) => void>();
  let received = '';
  answers.setEncoding('utf8').on('data', (part: string) => {
    const messages = (received + part).split('\0');
    received = messages.pop()!;
    for (const message of messages) {
      const { id, result } = JSON.parse(message) as { id?: number; result?: unknown };
      if (id !== undefined) waiting.get(id)?.(result);
    }
  });
  let count = 0;
  const send = <Result>(method: string, params: object = {}): Promise<Result> =>
    new Promise((resolve) => {
      waiting.set(++count, (answer) => resolve(answer as Result));
      commands.write(`${JSON.stringify({ id: count, method, params })}\0`);
    });
  const { targetInfos } = await send<{ targetInfos: { targetId: string; type: string }[] }>('Target.getTargets');
  const { targetId } = targetInfos.find(({ type }) => type === 'page')!;
  const { windowId } = await send<{ windowId: number }>('Browser.getWindowForTarget', { targetId });
  await send('Browser.setWindowBounds', { windowId, bounds: { windowState: 'minimized' } });
}
