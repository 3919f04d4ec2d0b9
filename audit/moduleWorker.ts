/** The thread in which a module's loss runs: it answers questions until it is ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { useBackend } from '../engine/index.ts';
import type { Message } from './module.ts';
import { functionSubject, inputForms, type Loss, type Question, Unauditable } from './subject.ts';

const { url, name, input: asked } = workerData as { readonly url: string; readonly name?: string; readonly input?: string };
const post = (message: Message): void => parentPort!.postMessage(message);

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

async function load(): Promise<void> {
  const module = (await import(url)) as Readonly<Record<string, unknown>>;
  const found = name === undefined ? (module['loss'] ?? module['default']) : module[name];
  if (typeof found !== 'function') {
    const exported = Object.keys(module).filter((key) => typeof module[key] === 'function');
    throw new Unauditable(
      `the module exports no function ${name === undefined ? "'loss', and none by default" : `'${name}'`}; ${exported.length === 0 ? 'it exports no function at all' : `its functions are ${exported.join(', ')}: choose one by --export`}`,
    );
  }
  const input = asked ?? text(module['input']) ?? 'arrays';
  const form = inputForms.find((candidate) => candidate === input);
  if (!form) throw new Unauditable(`the module's input is '${input}'; it must be one of ${inputForms.join(', ')}`);
  // Tensors of doubles are computed there.
  if (form === 'tensors') await useBackend('cpu');
  const [family, dialect] = [text(module['family']), text(module['dialect'])];
  const options = module['options'];
  const subject = functionSubject(found as Loss, form, 2 ** 30);
  parentPort!.on('message', (question: Question) => {
    subject.ask(question).then(
      (answer) => post({ kind: 'answer', answer }),
      (error: unknown) =>
        post({
          kind: error instanceof Unauditable ? 'unauditable' : 'threw',
          message: error instanceof Error ? error.message : String(error),
        }),
    );
  });
  const given =
    typeof options === 'object' && options !== null ? { options: { ...options } as Readonly<Record<string, number | string>> } : {};
  post({
    kind: 'ready',
    description: {
      parameters: found.length,
      input: form,
      ...(family !== undefined && { family }),
      ...(dialect !== undefined && { dialect }),
      ...given,
    },
  });
}

load().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  const advice = /Unexpected token 'export'|Cannot use import statement|ESM syntax/.test(message)
    ? ` (Node takes it for a CommonJS module: name it ${url.endsWith('.ts') ? '.mts' : '.mjs'}, or say "type": "module" in its package.json)`
    : /Unknown file extension|SyntaxError|Unexpected/.test(`${error instanceof Error ? error.name : ''} ${message}`) && url.endsWith('.ts')
      ? ' (Node runs TypeScript without types to compute: 22.18 or later, no enums; else build it first)'
      : '';
  post({ kind: 'unauditable', message: error instanceof Unauditable ? message : `the module cannot be loaded: ${message}${advice}` });
});
