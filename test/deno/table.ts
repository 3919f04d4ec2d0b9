/** Run by Deno: prints what is wrong with the table's cases on its GPU, as JSON. */
import { type Asked, table } from '../engine/verdicts.ts';

const [asked = ''] = process.argv.slice(2);
console.log(JSON.stringify(await table(JSON.parse(asked) as Asked)));
