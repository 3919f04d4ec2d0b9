import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Rates } from './protocol.ts';
import type { Device } from './suites.ts';
import type { WorkKind } from './work.ts';

export interface Contestant {
  readonly name: string;
  /**
   * - `ours`: this project, on one thread. - `threaded`: on several. - `hand`: loops written by hand for one chain. - `peer`: JavaScript, as ours.
   * - `native`: not bound by WebAssembly, or by WebGPU. - `option`: this project where it computes with less than f32, and so not compared.
   */
  readonly role: 'ours' | 'option' | 'threaded' | 'hand' | 'peer' | 'native';
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

let interpreter: string | null | undefined;

/** The first Python that has PyTorch, looked for once; Debian's belongs to the system's own interpreter. */
function python(): string | null {
  const candidates = ['/usr/bin/python3', 'python3'];
  interpreter ??= candidates.find((candidate) => spawnSync(candidate, ['-c', 'import torch']).status === 0) ?? null;
  return interpreter;
}

const torch = (device: string): Contestant['command'] => {
  const program = python();
  return program === null ? { missing: 'no Python with PyTorch' } : [program, here('pytorch.py'), device];
};

const threads = (count: number): Readonly<Record<string, string>> => ({ OPENBLAS_NUM_THREADS: String(count), OMP_NUM_THREADS: String(count) });
const ours = (backend: string, options: object = {}): readonly string[] => node('tensegrity.ts', backend, JSON.stringify(options));

/** Lets Dawn have what is not yet part of WebGPU, and f16 where it thinks better of it. */
export const experimental: Readonly<Record<string, string>> = {
  DAWN_FLAGS: 'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
};

export const limitsCommand: Readonly<Record<Device, readonly string[]>> = { cpu: node('limits.ts'), gpu: node('gpuLimits.ts') };

export const contestants: readonly Contestant[] = [
  { name: 'tensegrity', role: 'ours', device: 'cpu', command: ours('wasm', { threads: 1 }), build: 'relaxed', byDefault: true },
  {
    name: 'tensegrity-simd',
    role: 'ours',
    device: 'cpu',
    command: ours('wasm', { threads: 1, deterministic: true }),
    build: 'simd',
    byDefault: true,
  },
  {
    name: 'tensegrity-2',
    role: 'threaded',
    device: 'cpu',
    command: ours('wasm', { threads: 2 }),
    build: 'pair',
    only: ['step'],
    byDefault: true,
  },
  { name: 'tensegrity-cpu', role: 'ours', device: 'cpu', command: ours('cpu'), byDefault: false },
  { name: 'hand', role: 'hand', device: 'cpu', command: node('hand.ts'), only: ['chain'], byDefault: true },
  { name: 'tfjs-wasm', role: 'peer', device: 'cpu', command: node('tfjs.ts'), byDefault: true },
  { name: 'jax-js', role: 'peer', device: 'cpu', command: node('jaxjs.ts'), byDefault: true },
  {
    name: 'pytorch',
    role: 'native',
    device: 'cpu',
    get command() {
      return torch('1');
    },
    environment: threads(1),
    byDefault: true,
  },
  {
    name: 'pytorch-2',
    role: 'native',
    device: 'cpu',
    get command() {
      return torch('2');
    },
    environment: threads(2),
    only: ['step'],
    byDefault: true,
  },
  { name: 'tensegrity-webgpu', role: 'ours', device: 'gpu', command: ours('webgpu'), counts: true, build: 'gpu', byDefault: true },
  {
    name: 'tensegrity-f16',
    role: 'option',
    device: 'gpu',
    command: ours('webgpu', { f16: true }),
    environment: experimental,
    build: 'gpu',
    only: ['matmul', 'step'],
    byDefault: false,
  },
  {
    name: 'tensegrity-matrix',
    role: 'option',
    device: 'gpu',
    command: ours('webgpu', { subgroupMatrices: true }),
    environment: experimental,
    build: 'gpu',
    only: ['matmul', 'step'],
    byDefault: false,
  },
  { name: 'jax-js-webgpu', role: 'peer', device: 'gpu', command: node('jaxjs.ts', 'webgpu'), counts: true, byDefault: true },
  { name: 'tfjs-webgpu', role: 'peer', device: 'gpu', command: node('tfjs.ts', 'webgpu'), counts: true, byDefault: true },
  {
    name: 'pytorch-cuda',
    role: 'native',
    device: 'gpu',
    get command() {
      return torch('cuda');
    },
    byDefault: false,
  },
];
