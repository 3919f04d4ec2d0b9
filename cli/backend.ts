import { type Backend, useBackend } from '../engine/index.ts';
import { asUsage, type Input, type OptionTable, UsageError } from './options.ts';
import { v8ReleaseRelaxedSimd } from './relaxed.ts';

export const backendOptions: OptionTable = {
  backend: { type: 'string', value: 'wasm|cpu|webgpu', help: 'where it runs (wasm)' },
  threads: { type: 'string', value: 'N', help: 'of the wasm backend (the cores); results do not depend on it' },
  deterministic: { type: 'boolean', help: 'the same bits on every machine: no fused multiply-add' },
};

export const backendNames = ['wasm', 'cpu', 'webgpu'] as const;

/** What decides about the bits of a result: a run goes on with what it began with, unless a call asks for another. */
export interface BackendChoice {
  readonly name: (typeof backendNames)[number];
  readonly deterministic: boolean;
}

/** The backend that a call asks for, else the one that a run was on. */
export function backendChoice(input: Input, before?: Partial<BackendChoice>): BackendChoice {
  const name = input.choice('backend', backendNames) ?? before?.name ?? 'wasm';
  const asked = input.flag('deterministic');
  if (asked && name === 'webgpu') throw new UsageError('--deterministic is for wasm and cpu');
  return { name, deterministic: name !== 'webgpu' && (asked ?? before?.deterministic ?? false) };
}

/** Starts the backend that a call asks for; one that measures kernels if `profile`. */
export async function startBackend(input: Input, { name, deterministic } = backendChoice(input), profile = false): Promise<Backend> {
  if (profile && name !== 'webgpu') throw new UsageError('--profile measures kernels on a GPU: add --backend webgpu');
  const threads = input.whole('threads', 1);
  if (threads !== undefined && name !== 'wasm') throw new UsageError(`--threads is for wasm; leave it out with the backend ${name}`);
  if (!deterministic) v8ReleaseRelaxedSimd();
  return name === 'wasm'
    ? asUsage(() => useBackend('wasm', { deterministic, ...(threads !== undefined && { threads }) }))
    : name === 'webgpu'
      ? useBackend(name, { profile })
      : useBackend(name);
}
