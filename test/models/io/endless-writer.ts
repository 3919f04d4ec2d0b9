/** Run by files.test.ts: writes a file again and again, each time filled with one of two bytes, until it is killed. */
import { writeFileAtomically } from '../../../models/io/files.ts';

const [path = '', length = '0'] = process.argv.slice(2);
const contents = [1, 2].map((byte) => new Uint8Array(Number(length)).fill(byte));
for (let turn = 0; ; turn++) {
  await writeFileAtomically(path, contents[turn % 2]!);
  if (turn === 0) process.stdout.write('begun');
}
