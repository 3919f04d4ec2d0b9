/** Files as static hosts serve them, and a browser to visit them with: the Chromium that the root's tests have. */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { findChromium } from '../../test/browser/chromium.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};
const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** What a host says of all its files. */
const headersOf = {
  isolated: isolation,
  plain: {},
  wasmless: { ...isolation, 'content-security-policy': "script-src 'self'" },
  workerless: { ...isolation, 'content-security-policy': "worker-src 'none'" },
};
export type Host = keyof typeof headersOf;

/** What is served, by its path. */
export type Files = ReadonlyMap<string, string | Uint8Array>;

/** Where each host serves, ports of their own since what a browser keeps it keeps by origin. */
export interface Site extends Readonly<Record<Host, string>> {
  /** Files that have been asked for since this was last emptied. */
  readonly asked: Set<string>;
  close(): void;
}

/** Builds the lab. */
export function builtLab(): Files {
  const lab = fileURLToPath(new URL('..', import.meta.url));
  // In a process of its own, since a runner's environment is that of tests.
  execFileSync(process.execPath, [join(lab, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'error'], {
    cwd: lab,
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const folder = join(lab, 'dist');
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
  return new Map(paths.map((path) => [relative(folder, path), readFileSync(path)]));
}

/** Serves files as each host does. */
export async function serve(files: Files): Promise<Site> {
  const asked = new Set<string>();
  const servers = Object.values(headersOf).map((headers) =>
    createServer((request, response) => {
      const path = new URL(request.url!, 'http://localhost').pathname.slice(1) || 'index.html';
      const content = files.get(path);
      if (content === undefined) {
        response.writeHead(404).end();
        return;
      }
      asked.add(path);
      response.writeHead(200, { ...headers, 'content-type': types[extname(path)] ?? 'application/octet-stream' }).end(content);
    }).listen(0, '127.0.0.1'),
  );
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const addresses = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const byHost = Object.fromEntries(Object.keys(headersOf).map((host, i) => [host, addresses[i]])) as Record<Host, string>;
  const close = (): void => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  };
  return { ...byHost, asked, close };
}

/** A CPU's imitation of a GPU, by what a page reaches it with. */
const imitations = {
  webgl: ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  webgpu: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
};

/** A headless browser, in which the lab's cloud is drawn by WebGL or a page can train on WebGPU. @throws where no Chromium runs. */
export async function launch(gpu: keyof typeof imitations): Promise<Browser> {
  const found = findChromium();
  if ('missing' in found) throw new Error(found.missing);
  return chromium.launch({
    executablePath: found.program,
    env: found.environment as Record<string, string>,
    args: ['--no-sandbox', '--no-zygote', '--disable-dev-shm-usage', ...imitations[gpu]],
  });
}
