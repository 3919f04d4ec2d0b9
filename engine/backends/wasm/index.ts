/**
 * The WebAssembly backend: plans are encoded once into the linear memory of a precompiled module, and one call runs
 * all of one. Slots live in that memory; inputs are copied in, outputs copied out, so that nothing else needs to be freed.
 */
import { builds, canShare } from '#wasm-module';
import { checkChoice, options } from '../../arguments.ts';
import { check } from '../../errors.ts';
import type { Backend } from '../backend.ts';
import { bestBuild, type Crew, loadBackend, notLoaded } from './backend.ts';
import type { Build } from './build.ts';
import { createCrew } from './crew.ts';
import { inPage } from './platform.ts';
import { cores, createTeam, whyNotShared } from './team.ts';

export type { Build } from './build.ts';

export interface WasmOptions {
  /** Give the same bits on every machine: the `simd` build, whose every operation is rounded as IEEE 754 says. */
  readonly deterministic?: boolean;
  /** By default the fastest that the platform has. */
  readonly build?: Build;
  /**
   * How many threads share a plan: the cores, unless given; 1 where memory cannot be shared. The bits do not depend on it. In a page plans
   * run beside its own thread even with 1, if memory can be shared.
   */
  readonly threads?: number;
  /** In pages: the address of a copy of `tensegrity/wasm/worker.js`, for those that allow workers from files alone; else they are made of blobs. */
  readonly worker?: string;
  /**
   * Whether 3×3 convolutions of 16 channels or more (32 with a stride of two) may be done with a quarter of the multiplications (nine
   * sixteenths), by Winograd's F(4×4, 3×3); they may, unless given. Rounding errs about three times as much then, and a NaN or an infinity
   * of an image, or a number beyond 1e36, makes NaN of all the pixels that are done with it, which are within 7 of it.
   */
  readonly winograd?: boolean;
}

const optionDefaults = { threads: undefined, deterministic: false, build: undefined, winograd: true, worker: undefined } as const;

/**
 * Loads the module and gives it a memory of its own.
 * @throws TensegrityError `backend` where the platform has no WebAssembly with SIMD, or not the threads that were asked for; `argument` for
 * options that are unknown, outside their range, or contradict each other.
 */
export async function createWasmBackend(given: WasmOptions = {}): Promise<Backend> {
  const obstacle = canShare ? whyNotShared() : 'this platform forbids to compile the module for threads';
  const {
    deterministic,
    winograd,
    worker,
    build = deterministic ? 'simd' : bestBuild(),
    threads = obstacle === null ? Math.min(cores(), MOST_THREADS) : 1,
  } = options('the wasm backend', given, optionDefaults);
  checkChoice('the wasm backend: build', build, builds);
  check(!deterministic || build === 'simd', 'argument', () => `the wasm backend: deterministic needs build 'simd', not '${build}'`);
  check(
    Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS,
    'argument',
    () => `threads must be a whole number from 1 to ${MOST_THREADS}, got ${threads}`,
  );
  check(threads === 1 || obstacle === null, 'backend', () => `threads need shared memory: ${obstacle}; or use { threads: 1 }`);
  const shared = threads > 1 || (obstacle === null && inPage());
  const several = given.threads !== undefined && threads > 1;
  const crewOf = (module: WebAssembly.Module, memory: WebAssembly.Memory): Crew =>
    createCrew(() => createTeam(module, memory, threads, worker), threads, several);
  try {
    return await loadBackend({ build, winograd, crewOf: shared ? crewOf : null }).catch((cause: unknown) => {
      // Some devices do not set aside the addresses that a shared memory may grow to.
      if (!shared || several) throw cause;
      return loadBackend({ build, winograd });
    });
  } catch (cause) {
    throw notLoaded(build, several ? ` with ${threads} threads; use { threads: 1 }, or` : '; use', cause);
  }
}

const MOST_THREADS = 64;
