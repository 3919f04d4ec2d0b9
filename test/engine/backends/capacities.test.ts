import { describe, it } from 'vitest';
import { backends } from '../support.ts';
import { capacities, checkCapacity } from './capacities.ts';

describe.for(backends.map((backend) => [backend.name, backend] as const))('%s has room for', ([, backend]) => {
  it.for(Object.keys(capacities))('%s', (name) => checkCapacity(backend, name));
});
