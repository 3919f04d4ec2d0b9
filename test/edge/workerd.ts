import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Manifest {
  readonly name: string;
  readonly imports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

/** The target of an entry of `imports` or `exports` under the condition `workerd`, or the default one. */
function targetOf(entry: string | Readonly<Record<string, string>>): string {
  const target = typeof entry === 'string' ? entry : (entry['workerd'] ?? entry['default']);
  if (target === undefined) throw new Error(`package.json: nothing for workerd in ${JSON.stringify(entry)}`);
  return posix.normalize(target);
}

export interface WorkerModule {
  /** What other modules import it as. workerd resolves a specifier against the folder of the module that names it, bare ones too. */
  readonly name: string;
  readonly kind: 'esModule' | 'wasm';
  /** Where its contents are, from the root of the repository; or the contents. */
  readonly path?: string;
  readonly text?: string;
}

/**
 * The modules of a worker that imports the built package as it is, without a bundler: dist/ file by file, and the names that package.json gives
 * them. What serves other platforms (the inlined binaries) is left out, so that nothing can fall back on it.
 */
export function packageModules(): WorkerModule[] {
  const files = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
    .map((file) => posix.join('dist', file.replaceAll('\\', '/')))
    .filter((file) => /\.(js|wasm)$/.test(file) && !/^dist\/(cli|node)\/|\/generated\/|module-(inline|node|edge)/.test(file));
  const own = files.map((path): WorkerModule => ({ name: path, kind: path.endsWith('.wasm') ? 'wasm' : 'esModule', path }));
  const exported = Object.entries(manifest.exports)
    .map(([name, entry]) => [posix.join(manifest.name, name), targetOf(entry)] as const)
    .filter(([, target]) => target.endsWith('.js'))
    .map(
      ([name, target]): WorkerModule => ({
        name,
        kind: 'esModule',
        text: `export * from '${posix.relative(posix.dirname(name), target)}';`,
      }),
    );
  const imported = Object.entries(manifest.imports).map(([name, entry]): WorkerModule => {
    const target = targetOf(entry);
    return { name: posix.join(posix.dirname(target), name), kind: 'esModule', path: target };
  });
  return [...own, ...exported, ...imported];
}

function configuration(modules: readonly WorkerModule[]): string {
  const contents = ({ path, text }: WorkerModule): string =>
    text === undefined ? `embed ${JSON.stringify(`root/${path}`)}` : JSON.stringify(text);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
${modules.map((module) => `    (name = ${JSON.stringify(module.name)}, ${module.kind} = ${contents(module)}),`).join('\n')}
  ],
  compatibilityDate = "2026-10-01",
);
`;
}

/** The program in the package workerd, or why there is none. The command of that name is a script, which does not pass descriptors on. */
export function workerdProgram(): { readonly path: string } | { readonly missing: string } {
  try {
    const require = createRequire(import.meta.url);
    const { default: path } = require('workerd') as { readonly default: string };
    return { path };
  } catch (error) {
    return { missing: error instanceof Error ? error.message.split('\n')[0]! : String(error) };
  }
}

export interface Served {
  readonly address: string;
  stop(): Promise<void>;
}

/** Serves `main`, a module of this folder, with the package beside it, on a port of the system's choice. */
export async function serve(program: string, main: string, others: readonly string[]): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'tensegrity-workerd-'));
  symlinkSync(root, join(folder, 'root'));
  const scripts = [main, ...others].map((name): WorkerModule => ({ name, kind: 'esModule', path: `test/edge/${name}` }));
  writeFileSync(join(folder, 'config.capnp'), configuration([...scripts, ...packageModules()]));
  const server = spawn(program, ['serve', '--control-fd=3', 'config.capnp'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const stop = async (): Promise<void> => {
    if (server.exitCode === null && server.signalCode === null) {
      server.kill();
      await once(server, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { address: `http://127.0.0.1:${await portOf(server)}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** workerd writes a line of JSON for each socket that it listens on. */
async function portOf(server: ChildProcess): Promise<number> {
  const complaints: string[] = [];
  server.stderr!.setEncoding('utf8').on('data', (text: string) => complaints.push(text));
  for await (const line of createInterface({ input: server.stdio[3] as Readable })) {
    const message = JSON.parse(line) as { readonly event: string; readonly port?: number };
    if (message.event === 'listen' && message.port !== undefined) return message.port;
  }
  throw new Error(`workerd did not start:\n${complaints.join('')}`);
}

/** Where a module of this folder is. */
export const beside = (name: string): string => join(dirname(fileURLToPath(import.meta.url)), name);
export const repository = root;
