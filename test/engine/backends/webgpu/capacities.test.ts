import { describe, it } from 'vitest';
import type { Backend } from '../../../../engine/backends/backend.ts';
import { capacities, checkCapacity } from '../capacities.ts';
import { gpu } from './gpu.ts';

describe.runIf(gpu)('webgpu has room for', () => {
  it.for(Object.keys(capacities))('%s', (name) => checkCapacity(gpu as Backend, name));
});
