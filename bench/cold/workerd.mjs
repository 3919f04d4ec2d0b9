/**
 * `node workerd.mjs FOLDER PLAN`: a saved plan in a worker, bundled as wrangler does, in a fresh workerd. Prints the milliseconds of CPU until it listens
 * and of its first and second request, of all threads, as Linux counts them; FOLDER `-` is a worker that does nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const [, , folder, plan] = process.argv;
const nothing = folder === '-';
const source = nothing
  ? `export default { fetch: () => Response.json([]) };`
  : `import { loadPlan } from 'tensegrity/plan';
import bytes from './small.plan';
let embed;
const pixels = new Float32Array(784).fill(0.5);
export default { fetch: async () => {
  embed ??= loadPlan(bytes);
  const { data } = await (await embed)({ dtype: 'f32', shape: [1, 1, 28, 28], data: pixels });
  return Response.json([...data]);
} };`;

const entry = fileURLToPath(new URL('./worker.js', import.meta.url));
const dist = (path) => join(folder, 'dist/engine', path);
const bundle = await rolldown({
  input: entry,
  platform: 'neutral',
  resolve: { alias: { 'tensegrity/plan': dist('plan/load.js'), '#wasm-module': dist('backends/wasm/module-imported.js') } },
  external: /\.(wasm|plan)$/,
  plugins: [{ name: 'worker', resolveId: (id) => (id === entry ? id : null), load: (id) => (id === entry ? source : null) }],
});
const { output } = await bundle.generate({ format: 'es', codeSplitting: false, minify: true });
const code = output[0].code.replace(/from\s*"[^"]*?(\w+\.(wasm|plan))"/g, 'from "./$1"');

const place = mkdtempSync(join(tmpdir(), 'tensegrity-cold-workerd-'));
writeFileSync(join(place, 'worker.js'), code);
if (!nothing) {
  copyFileSync(plan, join(place, 'small.plan'));
  for (const build of ['simd', 'relaxed']) copyFileSync(join(folder, `dist/wasm/${build}.wasm`), join(place, `${build}.wasm`));
}
const modules = [
  '(name = "worker.js", esModule = embed "worker.js")',
  ...(nothing ? [] : ['(name = "small.plan", data = embed "small.plan")']),
  ...(nothing ? [] : ['simd', 'relaxed'].map((build) => `(name = "${build}.wasm", wasm = embed "${build}.wasm")`)),
];
writeFileSync(
  join(place, 'config.capnp'),
  `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .main)], sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]);
const main :Workerd.Worker = (modules = [${modules.join(', ')}], compatibilityDate = "2026-10-01");
`,
);

const server = spawn(createRequire(import.meta.url)('workerd').default, ['serve', '--control-fd=3', 'config.capnp'], {
  cwd: place,
  stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
});
/** Milliseconds of CPU that its threads have had. */
const cpu = () =>
  readdirSync(`/proc/${server.pid}/task`).reduce(
    (sum, task) => sum + Number(readFileSync(`/proc/${server.pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
    0,
  );
try {
  const [line] = await once(server.stdio[3].setEncoding('utf8'), 'data');
  const { port } = JSON.parse(line.split('\n')[0]);
  /** What a request takes, with what it leaves to other threads. */
  const taken = async (action) => {
    const before = cpu();
    await action();
    await wait(100);
    return cpu() - before;
  };
  const ask = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    if (!answer.ok) throw new Error(await answer.text());
    await answer.arrayBuffer();
  };
  await wait(300);
  const started = cpu();
  console.log(JSON.stringify({ started, first: await taken(ask), second: await taken(ask) }));
} finally {
  server.kill();
  await once(server, 'exit');
  rmSync(place, { recursive: true });
}
