#!/usr/bin/env node
import { TensegrityError } from '../engine/errors.ts';
import { doctor } from './commands/doctor.ts';
import { embed } from './commands/embed.ts';
import { evaluate } from './commands/evaluate.ts';
import { loss } from './commands/loss.ts';
import { train } from './commands/train.ts';
import { type Command, columns, helpOf, parseInput, suggestion, UsageError } from './options.ts';

const commands: Readonly<Record<string, Command>> = { train, eval: evaluate, embed, loss, doctor };

const overview = [
  'tensegrity: self-supervised representation learning that does not collapse, on the CPU, without dependencies\n',
  'usage: tensegrity COMMAND …\n',
  ...columns(Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)),
  '\ntensegrity COMMAND --help says more.',
].join('\n');

/** Runs a call; resolves to its exit code. Never throws. */
async function main([name, ...words]: readonly string[]): Promise<number> {
  try {
    if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
      console.log(overview);
      return name === undefined ? 2 : 0;
    }
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (!command)
      throw new UsageError(
        `there is no command '${name}'; there are ${Object.keys(commands).join(', ')}${suggestion(name, Object.keys(commands))}`,
      );
    const input = parseInput(words, name, command);
    if (input.flag('help')) console.log(helpOf(name, command));
    else await command.run(input);
    return 0;
  } catch (error) {
    return report(error, words);
  }
}

function report(error: unknown, words: readonly string[]): number {
  const known = error instanceof TensegrityError;
  if (words.includes('--debug') || !known) console.error(error);
  else if (words.includes('--json')) console.error(JSON.stringify({ error: { code: error.code, message: error.message } }));
  else console.error(`tensegrity: ${error.message}`);
  return error instanceof UsageError ? 2 : 1;
}

// A reader that has seen enough (head, less) closes the pipe: nothing is wrong then.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
