/** The built lab as a static host serves it, and a browser to visit it with: the Chromium that the root's tests have. */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { findChromium } from '../../test/browser/chromium.ts';

const lab = fileURLToPath(new URL('..', import.meta.url));
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};
const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

export interface Site {
  /** Where the page is isolated by the host, and where it is not. */
  readonly isolated: string;
  readonly plain: string;
  /** Files that have been asked for, of the build's folder, since this was last emptied. */
  readonly asked: Set<string>;
  close(): void;
}

/** Builds the lab, unless that was done, and serves it on two ports. */
export async function serve({ rebuild = true } = {}): Promise<Site> {
  const folder = join(lab, 'dist');
  if (rebuild || !existsSync(folder)) {
    // In a process of its own, since a runner's environment is that of tests.
    const vite = [join(lab, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'error'];
    execFileSync(process.execPath, vite, {
      cwd: lab,
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  const asked = new Set<string>();
  const servers = [isolation, {}].map((headers) => {
    const server = createServer((request, response) => {
      const path = new URL(request.url!, 'http://localhost').pathname;
      const file = join(folder, path.endsWith('/') ? `${path}index.html` : path);
      if (!file.startsWith(folder) || !existsSync(file)) {
        response.writeHead(404).end();
        return;
      }
      asked.add(file.slice(folder.length + 1));
      response.writeHead(200, { ...headers, 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file));
    });
    server.listen(0, '127.0.0.1');
    return server;
  });
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const [isolated, plain] = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`) as [string, string];
  return { isolated, plain, asked, close: () => servers.forEach((server) => server.close()) };
}

/** A headless browser; `gpu` has it find one, which is a CPU's imitation. @throws where no Chromium runs. */
export async function launch({ gpu = false, switches = [] as readonly string[] } = {}): Promise<Browser> {
  const found = findChromium();
  if ('missing' in found) throw new Error(found.missing);
  return chromium.launch({
    executablePath: found.program,
    env: found.environment as Record<string, string>,
    args: [
      '--no-sandbox',
      '--no-zygote',
      '--disable-dev-shm-usage',
      // The cloud is drawn by WebGL, which a CPU plays here.
      '--use-gl=angle',
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
      ...(gpu ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : []),
      ...switches,
    ],
  });
}
