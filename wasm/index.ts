/** The plan interpreter: walks the commands of an encoded plan. See `command.ts` for their form. */
import { meet } from './barrier';
import { cholesky } from './cholesky';
import * as kind from './command';
import { conv } from './conv';
import { copy, fill } from './copy';
import { eigh } from './eigh';
import { gather } from './gather';
import { matmul } from './matmul';
import { gridSample } from './gridSample';
import { map } from './map';
import { pool } from './pool';
import { reduce } from './reduce';
import { scan } from './scan';
import { scatter } from './scatter';
import { argsort } from './argsort';
import { triangularSolve } from './triangularSolve';
import { behind, word } from './view';
import { winograd, winogradFilterGradient, winogradFilters, winogradWeight } from './winograd';
import * as words from './words';

/** The first address that belongs to no one: what the host allocates lies above. */
export const heapBase: usize = __heap_base;

/**
 * Runs the commands from `commands` to `end` as one of `threads` threads, which all walk the same list, each with its share of every
 * command, and meet at `barrier` before the next.
 */
export function run(commands: usize, end: usize, bases: usize, workspace: usize, thread: i32, threads: i32, barrier: usize): void {
  for (let at = commands; at < end; at = behind(at, word(at, words.HEADER_LENGTH))) {
    if (threads > 1 && at != commands) meet(barrier, threads);
    const command = behind(at, words.HEADER_WORDS);
    switch (word(at, words.HEADER_KIND)) {
      case kind.MAP: map(command, bases, workspace, thread, threads); break;
      case kind.REDUCE: reduce(command, bases, workspace, thread, threads); break;
      case kind.SCAN: scan(command, bases, workspace, thread, threads); break;
      case kind.MATMUL: matmul(command, bases, workspace, thread, threads); break;
      case kind.CONV: conv(command, bases, workspace, thread, threads); break;
      case kind.POOL: pool(command, bases, workspace, thread, threads); break;
      case kind.GATHER: gather(command, bases, workspace, thread, threads); break;
      case kind.SCATTER: scatter(command, bases, workspace, thread, threads); break;
      case kind.GRID_SAMPLE: gridSample(command, bases, workspace, thread, threads); break;
      case kind.CHOLESKY: cholesky(command, bases, workspace, thread, threads); break;
      case kind.TRIANGULAR_SOLVE: triangularSolve(command, bases, workspace, thread, threads); break;
      case kind.EIGH: eigh(command, bases, workspace, thread, threads); break;
      case kind.ARGSORT: argsort(command, bases, workspace, thread, threads); break;
      case kind.COPY: copy(command, bases, workspace, thread, threads); break;
      case kind.FILL: fill(command, bases, workspace, thread, threads); break;
      case kind.WINOGRAD_FILTERS: winogradFilters(command, bases, workspace, thread, threads); break;
      case kind.WINOGRAD: winograd(command, bases, workspace, thread, threads); break;
      case kind.WINOGRAD_WEIGHT: winogradWeight(command, bases, workspace, thread, threads); break;
      case kind.WINOGRAD_FILTER_GRADIENT: winogradFilterGradient(command, bases, workspace, thread, threads); break;
      default: unreachable();
    }
  }
}
