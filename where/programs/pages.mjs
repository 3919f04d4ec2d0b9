/**
 * `node pages.mjs PAGE FRAME ATTRIBUTES`: a page with a frame in it, in the headless Chromium that $CHROMIUM names, and what the frame's script says.
 * PAGE and FRAME name headers; a FRAME that begins with `other-` comes from another site, and of `none` the page runs the script itself.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const [, , page, frame, attributes = ''] = process.argv;
const embedder = { 'cross-origin-embedder-policy': 'require-corp', 'cross-origin-resource-policy': 'cross-origin' };
const headersOf = { plain: {}, isolated: { ...embedder, 'cross-origin-opener-policy': 'same-origin' } };

const program = process.env.CHROMIUM;
if (!program) throw new Error('CHROMIUM must name the program');
let settle;
const reported = new Promise((resolve) => {
  settle = resolve;
});
const server = createServer(async (request, response) => {
  const [, policy, name] = request.url.split('/');
  if (request.method === 'POST') {
    settle(await text(request));
    response.end();
  } else if (!headersOf[policy]) response.writeHead(404).end();
  else {
    const script = name.endsWith('.js');
    // The scripts of a sandboxed frame come from another origin than it, which is none.
    response.writeHead(200, {
      ...headersOf[policy],
      'content-type': script ? 'text/javascript' : 'text/html',
      'access-control-allow-origin': '*',
    });
    response.end(script ? readFileSync(join('out', name)) : htmlOf(name));
  }
});
server.listen(0);
await once(server, 'listening');
const { port } = server.address();
const htmlOf = (name) => {
  if (name === 'frame.html' || frame === 'none') return '<!doctype html><script type="module" src="frame.js"></script>';
  const host = frame.startsWith('other-') ? 'localhost' : '127.0.0.1';
  return `<!doctype html><iframe ${attributes} src="http://${host}:${port}/${frame.replace('other-', '')}/frame.html"></iframe>`;
};

const profile = mkdtempSync(join(tmpdir(), 'tensegrity-where-browser-'));
const switches = ['--headless', '--no-sandbox', '--no-zygote', '--disable-dev-shm-usage', '--disable-gpu', `--user-data-dir=${profile}`];
const browser = spawn(program, [...switches, `http://127.0.0.1:${port}/${page}/index.html`], { stdio: 'ignore', detached: true });
const ended = once(browser, 'exit');
const timer = setTimeout(() => settle('nothing was said in a minute'), 60_000);
console.log(await reported);
clearTimeout(timer);
// All of its processes: they write into the profile.
process.kill(-browser.pid, 'SIGKILL');
await ended;
server.closeAllConnections();
server.close();
rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
