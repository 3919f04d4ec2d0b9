/** Run by Deno and by Node: prints the bits of some training steps of the built package. */
import { train } from '../browser/computation.mjs';

console.log(JSON.stringify(await train({ threads: 2 })));
