/** Runs benchmark.ts with the built package by its name, as the page has it. */
import { registerHooks } from 'node:module';

const built = { tensegrity: 'engine', 'tensegrity/models': 'models' };
registerHooks({
  resolve: (specifier, context, next) =>
    specifier in built
      ? { url: new URL(`../../dist/${built[specifier]}/index.js`, import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
});
await import('./benchmark.ts');
