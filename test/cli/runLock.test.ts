import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type LockSteps, RunLock, takeLock } from '../../cli/runLock.ts';
import { capability } from '../support/capabilities.ts';
import { Call, command, system, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const fresh = (): string => mkdtempSync(join(folder, 'run-'));
/** The number of a process that has ended. */
const dead = (): number => spawnSync('true').pid;

describe('the protocol', () => {
  /** What lies in the lock's place: nothing, the file of version 0.1.0, or a folder of entries. */
  type Place = null | 'file' | readonly number[];
  type Request = readonly [step: keyof LockSteps, entry: string];

  /** What a process asks for next, or what it came to, once it has been given these answers. */
  function next(answers: readonly unknown[]): { readonly asks: Request } | { readonly holder: unknown } {
    let at = 0;
    const answer =
      (step: keyof LockSteps) =>
      (entry = ''): never => {
        if (at < answers.length) return answers[at++] as never;
        throw { asks: [step, entry] };
      };
    const steps = Object.fromEntries((['place', 'entries', 'holder', 'remove', 'clear'] as const).map((step) => [step, answer(step)]));
    try {
      return { holder: takeLock(steps as unknown as LockSteps) };
    } catch (suspended) {
      return suspended as { readonly asks: Request };
    }
  }

  /** Tries every order of the steps of `count` processes, with a kill and a release wherever one is possible. */
  function explore(count: number, start: Place): { readonly states: number; readonly outcomes: ReadonlySet<string> } {
    const seen = new Set<string>();
    const outcomes = new Set<string>();
    type Process = { readonly answers: readonly unknown[]; readonly state: 'asks' | 'holds' | 'refused' | 'killed' | 'released' };
    const visit = (place: Place, processes: readonly Process[]): void => {
      const key = JSON.stringify([place, processes]);
      if (seen.has(key)) return;
      seen.add(key);
      const holding = processes.flatMap(({ state }, i) => (state === 'holds' ? [i] : []));
      if (holding.length > 1 || (holding.length === 1 && JSON.stringify(place) !== JSON.stringify(holding)))
        throw new Error(`two hold the lock: ${key}`);
      const become = (i: number, process: Process, then: Place = place): void => visit(then, processes.with(i, process));
      let moved = false;
      for (const [i, process] of processes.entries()) {
        const { answers, state } = process;
        if (state === 'holds') {
          become(i, { answers, state: 'killed' });
          // Its entry goes first, then the folder, as in `[Symbol.dispose]`.
          if (Array.isArray(place)) become(i, { answers, state: 'released' }, []);
        }
        if (state !== 'asks') continue;
        moved = true;
        become(i, { answers: [], state: 'killed' });
        const now = next(answers);
        if ('holder' in now) {
          become(i, { answers: [], state: now.holder === null ? 'holds' : 'refused' });
          continue;
        }
        const [step, entry] = now.asks;
        const owner = Number(entry);
        const given = (answer: unknown, then: Place = place): void => {
          const after = [...answers, answer];
          // Whoever has placed its lock holds it.
          const done = step === 'place' && answer === true;
          become(i, done ? { answers: [], state: 'holds' } : { answers: after, state: 'asks' }, then);
        };
        if (step === 'place') {
          const free = place === null || (Array.isArray(place) && place.length === 0);
          if (free) given(true, [i]);
          else given(false);
        } else if (step === 'entries') given(place === null ? [] : place === 'file' ? ['file'] : place.map(String));
        else if (step === 'holder') {
          const there = entry === 'file' ? place === 'file' : Array.isArray(place) && place.includes(owner);
          // The one before is dead: -1, and the file's.
          given(there ? { ended: entry === 'file' || owner < 0 || processes[owner]!.state === 'killed' } : null);
        } else if (step === 'remove') {
          if (entry === 'file') given(undefined, place === 'file' ? null : place);
          else given(undefined, Array.isArray(place) ? place.filter((other) => other !== owner) : place);
        } else given(undefined, Array.isArray(place) && place.length === 0 ? null : place);
      }
      if (!moved && holding.length === 0) outcomes.add(processes.map(({ state }) => state).join(' '));
    };
    visit(
      start,
      Array.from({ length: count }, () => ({ answers: [], state: 'asks' as const })),
    );
    return { states: seen.size, outcomes };
  }

  it.each<[string, Place]>([
    ['nothing', null],
    ['an empty folder', []],
    ["a dead process's lock", [-1]],
    ["a dead process's lock of version 0.1.0", 'file'],
  ])('gives the lock to one, in every order of the steps of three, killed anywhere, over %s', (_, start) => {
    const { states, outcomes } = explore(3, start);
    expect(states).toBeGreaterThan(1000);
    // Someone gets it, unless all are killed; and nobody who lives is refused by the dead.
    for (const outcome of outcomes) expect(outcome).toMatch(/released|killed/);
    expect(outcomes).not.toContain('refused refused refused');
  });
});

describe('a lock', () => {
  /** Locks of processes that have ended: how each is left behind. */
  const left: Readonly<Record<string, (run: string) => void>> = {
    'of version 0.1.0': (run) => writeFileSync(join(run, 'lock'), `${dead()}\n${hostname()}\n`),
    'of version 0.1.0 on a full disk': (run) => writeFileSync(join(run, 'lock'), ''),
    'that has no entry any more': (run) => mkdirSync(join(run, 'lock')),
    'of a number that has come again': (run) => {
      // This process's, but for the time at which it began.
      const [entry] = readdirSync(join(run, 'lock'));
      const path = join(run, 'lock', entry!);
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
      writeFileSync(path, `${[process.pid, ...lines.slice(1, -1), '1'].join('\n')}\n`);
    },
    'of before the machine was started anew': (run) => {
      const [entry] = readdirSync(join(run, 'lock'));
      const path = join(run, 'lock', entry!);
      writeFileSync(path, readFileSync(path, 'utf8').replace(/\n[0-9a-f-]{36}\n/, '\n00000000-0000-0000-0000-000000000000\n'));
    },
    'of a process that was killed': () => {},
  };

  it.each(Object.entries(left))('%s is taken over', async (what, leave) => {
    const run = fresh();
    if (/killed|again|anew/.test(what)) {
      const [program, ...words] = command.slice(0, -1);
      const source = `import { RunLock } from ${JSON.stringify(fileURLToPath(new URL('../../cli/runLock.ts', import.meta.url)))};
        await RunLock.take(process.argv[1]); process.kill(process.pid, 'SIGKILL')`;
      await new Call(['--input-type=module', '-e', source, run], {}, [program!, ...words]).finished;
      const entries = readdirSync(join(run, 'lock'));
      expect(entries).toHaveLength(1);
      const [, , boot, machine] = readFileSync(join(run, 'lock', entries[0]!), 'utf8').split('\n');
      if (/anew/.test(what) && !capability('boot', boot !== '' && machine !== '', 'the system tells no boot from another')) return;
    }
    leave(run);
    {
      using _lock = await RunLock.take(run);
      await expect(RunLock.take(run)).rejects.toThrow(`is being trained by process ${process.pid} on ${hostname()}`);
    }
    expect(readdirSync(run)).toEqual([]);
  });

  it.each<[string, string[]]>([
    ['another machine', ['1', 'elsewhere']],
    ['another machine, in full', ['1', 'elsewhere', 'a', 'b', 'c', '5']],
    ['another container', [String(dead()), hostname(), readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), '', 'pid:[7]', '5']],
    ['another machine of the same name', [String(dead()), hostname(), 'another-boot', 'another-machine', '', '5']],
    ['nobody knows whom', ['what is this?']],
  ])('of %s is left alone, with what a person can do', async (_, lines) => {
    const run = fresh();
    writeFileSync(join(run, 'lock'), `${lines.join('\n')}\n`);
    await expect(RunLock.take(run)).rejects.toThrow(/wait for it, or end it first \(if there is none, remove .*lock\)/);
    expect(readdirSync(run)).toEqual(['lock']);
  });

  it.each<[string, (path: string) => void]>([
    ['a pipe', (path) => system('mkfifo', path)],
    ['a link to nothing', (path) => symlinkSync('/nowhere', path)],
    ['a link to an empty folder', (path) => symlinkSync(fresh(), path)],
    ['a folder in a folder', (path) => mkdirSync(join(path, 'inner'), { recursive: true })],
    ['a link in a folder', (path) => mkdirSync(path) ?? symlinkSync('/nowhere', join(path, 'inner'))],
    ['a link to itself in a folder', (path) => mkdirSync(path) ?? symlinkSync('inner', join(path, 'inner'))],
    ['a large file', (path) => writeFileSync(path, 'x'.repeat(10_000))],
  ])('that is %s is refused, and nothing hangs', async (_, make) => {
    const run = fresh();
    make(join(run, 'lock'));
    await expect(RunLock.take(run)).rejects.toThrow(/lock\S* is not a lock of this program; remove it/);
    expect(readdirSync(run)).toEqual(['lock']);
  });

  describe('that six want at one instant', () => {
    const children: ChildProcess[] = [];
    afterAll(() => {
      for (const child of children) child.kill('SIGKILL');
    });

    it('has one taker, every time', { timeout: 120_000 }, async () => {
      const rounds = Number(process.env['LOCK_ROUNDS'] ?? 20);
      const [execPath, ...execArgv] = command.slice(0, -1);
      const answerOf = (child: ChildProcess): Promise<string> =>
        new Promise((resolve) => child.once('message', (text) => resolve(text as string)));
      const script = fileURLToPath(new URL('./locker.mjs', import.meta.url));
      for (let i = 0; i < 6; i++) children.push(fork(script, { execPath: execPath!, execArgv }));
      await Promise.all(children.map(answerOf));
      const run = fresh();
      const pid = dead();
      for (let round = 0; round < rounds; round++) {
        if (round % 2 === 0) writeFileSync(join(run, 'lock'), `${pid}\n${hostname()}\n`);
        else {
          mkdirSync(join(run, 'lock'));
          writeFileSync(join(run, 'lock', 'entry'), `${pid}\n${hostname()}\n`);
        }
        const at = Date.now() + 10;
        const answers = Promise.all(children.map(answerOf));
        for (const child of children) child.send({ folder: run, at });
        const told = (await answers).map((text) => text.replace(/.*is being trained by process.*/, 'refused')).sort();
        // A busy machine may let one ask when another is done.
        expect(new Set(told), `round ${round}: ${told.join(', ')}`).toEqual(
          new Set(told.includes('refused') ? ['alone', 'refused'] : ['alone']),
        );
        expect(readdirSync(run)).toEqual([]);
      }
    });
  });
});
