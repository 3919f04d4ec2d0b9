/** The test page, built as the lab is and served as hosts do, and a browser that visits it. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { findChromium } from '../../../test/browser/chromium.ts';
import { embedded } from '../../embedded.ts';
import type { Command, CommandOf, Message, MessageOf } from '../../training/protocol.ts';

const lab = fileURLToPath(new URL('../..', import.meta.url));
const built = fileURLToPath(new URL('../../../dist/', import.meta.url));
const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };
const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** What the server says of all files, by the first part of their path. */
const headersOf: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  isolated: isolation,
  plain: {},
  wasmless: { ...isolation, 'content-security-policy': "script-src 'self'" },
  workerless: { ...isolation, 'content-security-policy': "worker-src 'none'" },
};
export type Host = 'isolated' | 'plain' | 'wasmless' | 'workerless';

export interface Site {
  readonly address: (host: Host) => string;
  close(): void;
}

/** Builds the test page, and serves it as each host does. */
export async function serve(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'tensegrity-lab-'));
  const alias = ['engine', 'models'].map((name) => ({
    find: name === 'engine' ? /^tensegrity$/ : /^tensegrity\/models$/,
    replacement: `${built}${name}/index.js`,
  }));
  const input = join(lab, 'test/training/page.html');
  await build({
    root: join(lab, 'test/training'),
    configFile: false,
    base: './',
    logLevel: 'warn',
    plugins: [embedded],
    resolve: { alias },
    worker: { format: 'es' },
    build: { outDir: folder, target: 'es2022', emptyOutDir: true, rolldownOptions: { input } },
  });
  const server = createServer((request, response) => {
    const [, host, ...path] = new URL(request.url!, 'http://localhost').pathname.split('/');
    const file = join(folder, ...path);
    if (!file.startsWith(folder) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { ...headersOf[host!], 'content-type': type }).end(readFileSync(file));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: (host) => `http://127.0.0.1:${port}/${host}/page.html`,
    close: () => {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A headless browser, with a CPU's imitation of a GPU. */
export async function launch(): Promise<Browser> {
  const found = findChromium();
  if ('missing' in found) throw new Error(found.missing);
  const environment = Object.fromEntries(
    Object.entries(found.environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  return chromium.launch({
    executablePath: found.program,
    env: environment,
    args: ['--no-sandbox', '--no-zygote', '--disable-dev-shm-usage', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  });
}

/** A page with a training, as a test sees it. */
export class Visit {
  readonly page: Page;
  /** All that has been said. */
  readonly said: Message[] = [];
  /** What the page's console said of errors. */
  readonly errors: string[];

  private constructor(page: Page, errors: string[]) {
    this.page = page;
    this.errors = errors;
  }

  static async to(browser: Browser, site: Site, host: Host): Promise<Visit> {
    const page = await (await browser.newContext()).newPage();
    const errors: string[] = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(site.address(host));
    return new Visit(page, errors);
  }

  async open(given: Partial<CommandOf<'open'>> = {}, worker: 'faults' | null = null): Promise<void> {
    await this.page.evaluate(([given, worker]) => globalThis.lab.open(given, worker), [given, worker] as const);
  }

  async post(...commands: readonly Command[]): Promise<void> {
    // What goes to the page is data, and no blob: those are made there.
    await this.page.evaluate((data) => (data as Command[]).forEach((command) => globalThis.lab.post(command)), commands as unknown);
  }

  /** What is said of a kind, now. */
  async all<Kind extends Message['kind']>(kind: Kind): Promise<readonly MessageOf<Kind>[]> {
    // What the driver says is what messages hold.
    this.said.push(...((await this.page.evaluate(() => globalThis.lab.take())) as Message[]));
    return this.said.filter((message): message is MessageOf<Kind> => message.kind === kind);
  }

  /** The first message of a kind, of those from now on or those before it too, that fits; waits for it. */
  async until<Kind extends Message['kind']>(
    kind: Kind,
    fits: (message: MessageOf<Kind>) => boolean = () => true,
    { patience = 60, from = 0 } = {},
  ): Promise<MessageOf<Kind>> {
    const end = performance.now() + 1000 * patience;
    for (;;) {
      const found = (await this.all(kind)).slice(from).find(fits);
      if (found) return found;
      if (performance.now() > end) {
        const troubles = this.said.flatMap((message) => (message.kind === 'trouble' ? [message.message] : []));
        const phase = this.said.findLast((message) => message.kind === 'status');
        throw new Error(`no ${kind} for which ${String(fits)} in ${patience} s; ${JSON.stringify({ troubles, phase })}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The next message of a kind that fits, after those there have been. */
  async next<Kind extends Message['kind']>(
    kind: Kind,
    fits?: (message: MessageOf<Kind>) => boolean,
    patience?: number,
  ): Promise<MessageOf<Kind>> {
    return this.until(kind, fits, { from: (await this.all(kind)).length, ...(patience !== undefined && { patience }) });
  }

  /** All steps that have been told of. */
  async steps(): Promise<MessageOf<'steps'>['steps']> {
    return (await this.all('steps')).flatMap(({ steps }) => steps);
  }

  /** Waits until it is at a step. */
  async reach(step: number, patience = 60): Promise<void> {
    await this.until('steps', ({ steps }) => steps.at(-1)!.step >= step, { patience });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
