/** A process that takes the lock of a folder at each time that it is told, and says whether it had it, and had it alone. */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { RunLock } from '../../cli/runLock.ts';

process.on('message', async ({ folder, at }) => {
  while (Date.now() < at);
  const lock = await RunLock.take(folder).catch((error) => error);
  if (lock instanceof Error) return process.send(lock.message);
  const alone = join(folder, 'alone');
  try {
    closeSync(openSync(alone, 'wx'));
    // Long enough for all the others to have asked.
    const until = at + 25;
    while (Date.now() < until);
    unlinkSync(alone);
    lock[Symbol.dispose]();
    process.send('alone');
  } catch {
    process.send('not alone');
  }
});
process.send('ready');
