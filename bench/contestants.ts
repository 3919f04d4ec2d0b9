import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';
import { driverEnvironment } from './driver.ts';
import type { Rates } from './protocol.ts';
import type { Device } from './suites.ts';
import type { WorkKind } from './work.ts';

export interface Contestant {
  readonly name: string;
  /**
   * - `ours`: this project, on one thread. - `threaded`: on several. - `hand`: loops written by hand for one chain. - `peer`: JavaScript, as ours.
   * - `native`: not bound by WebAssembly.
   */
  readonly role: 'ours' | 'threaded' | 'hand' | 'peer' | 'native';
  /** What it is started with, or why it is not here. */
  readonly command: readonly string[] | { readonly missing: string };
  readonly environment?: Readonly<Record<string, string>>;
  /** What it computes on, and so whose cases it is asked for. */
  readonly device: Device;
  /** Whether what it asks of WebGPU can be counted. */
  readonly counts?: boolean;
  /** The limit on arithmetic that its build is held against. */
  readonly build?: keyof Omit<Rates, 'copy'>;
  /** The kinds of work it is asked for; all, unless given. */
  readonly only?: readonly WorkKind[];
  /** Whether it takes part unless named. */
  readonly byDefault: boolean;
}

const here = (file: string): string => fileURLToPath(new URL(`./contestants/${file}`, import.meta.url));
const node = (file: string, ...parameters: readonly string[]): readonly string[] => [process.execPath, here(file), ...parameters];

/** The first Python that has PyTorch; Debian's belongs to the system's own interpreter. */
function python(): string | null {
  const candidates = ['/usr/bin/python3', 'python3'];
  return candidates.find((candidate) => spawnSync(candidate, ['-c', 'import torch']).status === 0) ?? null;
}

function torch(threads: number): Pick<Contestant, 'command' | 'environment'> {
  const interpreter = python();
  return {
    command: interpreter === null ? { missing: 'no Python with PyTorch' } : [interpreter, here('pytorch.py'), String(threads)],
    environment: { OPENBLAS_NUM_THREADS: String(threads), OMP_NUM_THREADS: String(threads) },
  };
}

export const limitsCommand: Readonly<Record<Device, readonly string[]>> = { cpu: node('limits.ts'), gpu: node('gpuLimits.ts') };

const onCpu: readonly Omit<Contestant, 'device'>[] = [
  {
    name: 'tensegrity',
    role: 'ours',
    command: node('tensegrity.ts', 'wasm', JSON.stringify({ threads: 1 })),
    build: 'relaxed',
    byDefault: true,
  },
  {
    name: 'tensegrity-simd',
    role: 'ours',
    command: node('tensegrity.ts', 'wasm', JSON.stringify({ threads: 1, deterministic: true })),
    build: 'simd',
    byDefault: true,
  },
  {
    name: 'tensegrity-2',
    role: 'threaded',
    command: node('tensegrity.ts', 'wasm', JSON.stringify({ threads: 2 })),
    build: 'pair',
    only: ['step'],
    byDefault: true,
  },
  { name: 'tensegrity-cpu', role: 'ours', command: node('tensegrity.ts', 'cpu'), byDefault: false },
  { name: 'hand', role: 'hand', command: node('hand.ts'), only: ['chain'], byDefault: true },
  { name: 'tfjs-wasm', role: 'peer', command: node('tfjs.ts'), byDefault: true },
  { name: 'jax-js', role: 'peer', command: node('jaxjs.ts'), byDefault: true },
  { name: 'pytorch', role: 'native', ...torch(1), byDefault: true },
  { name: 'pytorch-2', role: 'native', ...torch(2), only: ['step'], byDefault: true },
];

const onGpu: readonly Omit<Contestant, 'device'>[] = [
  { name: 'tensegrity-webgpu', role: 'ours', command: node('tensegrity.ts', 'webgpu'), counts: true, build: 'gpu', byDefault: true },
  { name: 'jax-js-webgpu', role: 'peer', command: node('jaxjs.ts', 'webgpu'), counts: true, byDefault: true },
  { name: 'tfjs-webgpu', role: 'peer', command: node('tfjs.ts', 'webgpu'), counts: true, byDefault: true },
];

export const contestants: readonly Contestant[] = [
  ...onCpu.map((contestant): Contestant => ({ ...contestant, device: 'cpu' })),
  ...onGpu.map((contestant): Contestant => ({ ...contestant, device: 'gpu' })),
];

/** A contestant's process. @throws where it is for a GPU and this machine has no driver. */
export function start({ device }: Pick<Contestant, 'device'>, command: readonly string[], environment: Contestant['environment'] = {}): Child {
  return new Child(command, { ...environment, ...(device === 'gpu' && driverEnvironment()) });
}
