import { type Backend, useBackend } from '../engine/index.ts';
import { type Input, type OptionTable, UsageError } from './options.ts';
import { v8ReleaseRelaxedSimd } from './relaxed.ts';

export const backendOptions: OptionTable = {
  backend: { type: 'string', value: 'wasm|cpu|webgpu', help: 'where it runs (wasm)' },
  threads: { type: 'string', value: 'N', help: 'of the wasm backend (the cores); results do not depend on it' },
  deterministic: { type: 'boolean', help: 'the same bits on every machine: no fused multiply-add' },
};

/** Starts the backend that a call asks for. */
export async function startBackend(input: Input): Promise<Backend> {
  const name = input.choice('backend', ['wasm', 'cpu', 'webgpu']) ?? 'wasm';
  const deterministic = input.flag('deterministic') ?? false;
  if (deterministic && name === 'webgpu') throw new UsageError('--deterministic is for wasm and cpu');
  if (!deterministic) v8ReleaseRelaxedSimd();
  const threads = input.number('threads');
  return name === 'wasm' ? useBackend('wasm', { deterministic, ...(threads !== undefined && { threads }) }) : useBackend(name);
}
