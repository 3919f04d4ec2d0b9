import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import * as engine from '../../engine/index.ts';
import * as plan from '../../engine/plan/load.ts';
import * as modelsCore from '../../models/core.ts';
import * as models from '../../models/index.ts';
import { methods } from '../../models/methods/index.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const families = readdirSync(join(root, 'docs/families')).filter((name) => name.endsWith('.md'));
const pages = ['README.md', 'docs/plans.md', ...families.map((name) => `docs/families/${name}`)];
const programs = pages.flatMap((page) =>
  [...read(page).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code], i) => ({ page, number: i + 1, code: code! })),
);
const modules: Readonly<Record<string, unknown>> = {
  tensegrity: engine,
  'tensegrity/models': models,
  'tensegrity/models/core': modelsCore,
  'tensegrity/plan': plan,
};

/** A program as the body of a function: its imports are taken from the modules at hand. */
function body(code: string): string {
  return stripTypeScriptTypes(code).replaceAll(/^import \{([^}]*)\} from '([^']*)';/gm, (_, names: string, from: string) => {
    expect(modules, `from '${from}'`).toHaveProperty([from]);
    for (const name of names.split(',')) expect(modules[from], name.trim()).toHaveProperty(name.trim());
    return `const {${names}} = modules['${from}'];`;
  });
}

describe('programs in the docs', () => {
  it.each(programs)('run: $page, $number', async ({ code }) => {
    const said = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const AsyncFunction = (async () => undefined).constructor as new (...parts: string[]) => (given: typeof modules) => Promise<void>;
    await new AsyncFunction('modules', body(code))(modules);
    const numbers = said.mock.calls.flat().filter((value) => typeof value === 'number');
    said.mockRestore();
    expect(numbers.every(Number.isFinite)).toBe(true);
  });
});

describe('pages of the families', () => {
  it('are in both languages, and point to what there is', () => {
    for (const name of families) {
      const other = name.endsWith('.zh.md') ? name.replace('.zh.md', '.md') : name.replace('.md', '.zh.md');
      expect(families).toContain(other);
      for (const [, target] of read(`docs/families/${name}`).matchAll(/\]\(([^)]+)\)/g))
        expect(readdirSync(join(root, 'docs/families'))).toContain(target);
    }
  });

  it.each(Object.keys(methods))('name the method %s', (method) => {
    for (const page of ['README.md', 'README.zh.md']) expect(read(`docs/families/${page}`)).toContain(`\`${method}\``);
  });
});
