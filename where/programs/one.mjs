/** One backend alone, without a dynamic import: what a service worker may have. */

import { createWasmBackend } from 'tensegrity/backends/wasm';
import { tensor, useBackend } from 'tensegrity/core';

createWasmBackend({ threads: 1 })
  .then((backend) => useBackend(backend))
  .then(async ({ name }) => console.log(name, await tensor([1, 2]).mul(2).array()));
