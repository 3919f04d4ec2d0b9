import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capability } from '../support/capabilities.ts';
import { beside, packageModules, repository, type Served, serve, workerdProgram } from './workerd.ts';

const program = workerdProgram();
const available = capability('workerd', 'path' in program, 'missing' in program ? program.missing : '');
const builds = ['simd', 'relaxed'] as const;

type Bits = Readonly<Record<string, string | readonly string[]>>;

/** What Node computes, in a process of its own and from the built package, as workerd does; it may not make code of strings either. */
function inNode(build: string): Bits {
  const computation = pathToFileURL(beside('computation.mjs')).href;
  const script = `const { compute } = await import('${computation}'); console.log(JSON.stringify(await compute('${build}')));`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Bits;
}

describe.runIf(available)('workerd', () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve((program as { path: string }).path, 'worker.mjs', ['computation.mjs']);
  });
  afterAll(() => served?.stop());

  const ask = async (path: string): Promise<unknown> => {
    const response = await fetch(`${served.address}/${path}`);
    const text = await response.text();
    expect(response.status, text).toBe(200);
    return JSON.parse(text);
  };

  it.each(builds)('gets the bits of Node from the %s build, imported as a module', async (build) => {
    const bits = (await ask(build)) as Bits;
    expect(Object.keys(bits)).toContain('losses');
    expect(bits).toEqual(inNode(build));
    expect(bits['saved']).toEqual(bits['losses']);
  });

  it('answers requests one after the other and at the same time', async () => {
    const answers = await Promise.all([ask('simd'), ask('simd'), ask('simd')]);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  it('forbids what an edge platform forbids, so that the tests above did without', async () => {
    expect(await ask('forbidden')).toEqual([
      'eval',
      'Function',
      'WebAssembly.Module',
      'WebAssembly.compile',
      'WebAssembly.instantiate of bytes',
    ]);
  });
});

describe('the modules of a worker', () => {
  it('generate no code', () => {
    const generation =
      /\beval\s*\(|\bnew\s+Function\b|\bFunction\s*\(|WebAssembly\.compile|instantiateStreaming|new\s+WebAssembly\.Module\b/;
    const scripts = packageModules().filter(({ kind, path }) => kind === 'esModule' && path !== undefined);
    expect(scripts.length).toBeGreaterThan(20);
    const offenders = scripts.filter(({ path }) => generation.test(readFileSync(join(repository, path!), 'utf8')));
    expect(offenders.map(({ path }) => path)).toEqual([]);
  });
});
