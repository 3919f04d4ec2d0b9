#!/usr/bin/env node
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { shown } from '../engine/arguments.ts';
import { TensegrityError } from '../engine/errors.ts';
import { ablate } from './commands/ablate.ts';
import { audit } from './commands/audit.ts';
import { compare } from './commands/compare.ts';
import { doctor } from './commands/doctor.ts';
import { embed } from './commands/embed.ts';
import { evaluate } from './commands/evaluate.ts';
import { exportCommand } from './commands/export.ts';
import { gather } from './commands/gather.ts';
import { inspect as inspectCommand } from './commands/inspect.ts';
import { loss } from './commands/loss.ts';
import { train } from './commands/train.ts';
import { endWithReader, Stopped } from './interruption.ts';
import { type Command, helpOf, parseInput, suggestion, UsageError } from './options.ts';
import { columns } from './table.ts';
import { complain, jsonOf, print } from './text.ts';

const commands: Readonly<Record<string, Command>> = {
  train,
  eval: evaluate,
  compare,
  ablate,
  embed,
  gather,
  export: exportCommand,
  loss,
  audit,
  inspect: inspectCommand,
  doctor,
};

const overview = [
  'tensegrity: self-supervised representation learning that does not collapse, on the CPU and the GPU, without dependencies\n',
  'usage: tensegrity COMMAND …\n',
  ...columns(Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)),
  '\ntensegrity COMMAND --help says more.',
].join('\n');

/** Answers that are no command. */
const answers: Readonly<Record<string, () => string>> = {
  '--help': () => overview,
  '-h': () => overview,
  help: () => overview,
  '--version': version,
};

function version(): string {
  const manifest = createRequire(import.meta.url)('tensegrity/package.json') as { readonly version: string };
  return manifest.version;
}

/** Runs a call; resolves to its exit code. Never throws. */
async function main([name, ...words]: readonly string[]): Promise<number> {
  try {
    if (name === undefined) {
      complain(overview);
      return 2;
    }
    const answer = Object.hasOwn(answers, name) ? answers[name] : undefined;
    if (answer) {
      print(answer());
      return 0;
    }
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!command)
      throw new UsageError(
        `there is no command ${shown(name)}; there are ${Object.keys(commands).join(', ')}${suggestion(name, Object.keys(commands))}`,
      );
    const input = parseInput(words, name, command);
    if (input.flag('help')) print(helpOf(name, command));
    else return (await command.run(input)) ?? 0;
    return 0;
  } catch (error) {
    return report(error, words);
  }
}

/** What an array that is too large throws, in words. */
function understood(error: unknown): unknown {
  const large = error instanceof RangeError && /allocation failed|array length|longer than/i.test(error.message);
  return large
    ? new TensegrityError(
        'argument',
        `there is not the memory for this (${error.message}); ask for less: smaller files, layers or batches`,
        {},
        error,
      )
    : error;
}

function report(thrown: unknown, words: readonly string[]): number {
  const error = understood(thrown);
  const code = error instanceof Stopped ? 'stopped' : error instanceof TensegrityError ? error.code : null;
  if (words.includes('--debug') || code === null || !(error instanceof Error)) complain(inspect(error));
  else if (words.includes('--json')) complain(jsonOf({ error: { code, message: error.message } }));
  else complain(`tensegrity: ${error.message}`);
  if (error instanceof Stopped) return error.exitCode;
  return error instanceof UsageError ? 2 : 1;
}

endWithReader();
process.exitCode = await main(process.argv.slice(2));
