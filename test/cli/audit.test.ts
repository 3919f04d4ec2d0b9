import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { expectWhole } from './pages/support.ts';
import { Call, type Finished } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'tensegrity-audit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const audit = (...words: readonly string[]): Promise<Finished> => new Call(['audit', ...words]).finished;

/** Barlow Twins in loops; `body` is run first. */
const barlowTwins = (body = '', name = 'loss'): string => `
const mean = (x) => x.reduce((a, b) => a + b, 0) / x.length;
const standard = (z) => {
  const columns = z[0].map((_, j) => z.map((row) => row[j]));
  return columns.map((c) => {
    const m = mean(c);
    const s = Math.sqrt(mean(c.map((x) => (x - m) ** 2)) + 1e-5);
    return c.map((x) => (x - m) / s);
  });
};
export function ${name}(za, zb, context) {
  ${body}
  const [a, b] = [standard(za), standard(zb)];
  let sum = 0;
  for (let i = 0; i < a.length; i++)
    for (let j = 0; j < b.length; j++) {
      const c = mean(a[i].map((x, k) => x * b[j][k]));
      sum += i === j ? (c - 1) ** 2 : 0.0051 * c ** 2;
    }
  return sum;
}
export const family = 'barlow-twins';
`;

const fast = ['--runs', '10'];

const program = (name: string, answer: string): string =>
  `${process.execPath} ${write(
    name,
    `let [text, rest] = ['', Buffer.alloc(0)];
process.stdin.on('data', (chunk) => {
  rest = Buffer.concat([rest, chunk]);
  for (let end; (end = rest.indexOf(10)) >= 0; ) {
    const line = rest.subarray(0, end).toString();
    const { id, arrays } = JSON.parse(line);
    const size = arrays.reduce((sum, { shape }) => sum + 8 * shape.reduce((a, b) => a * b, 1), 0);
    if (rest.length < end + 1 + size) return;
    rest = rest.subarray(end + 1 + size);
    ${answer}
  }
});`,
  )}`;

describe('tensegrity audit', () => {
  it('finds nothing in what is right, and says so with exit code 0', async () => {
    const { code, stdout } = await audit(write('right.mjs', barlowTwins()), ...fast);
    expect(stdout).toContain('nothing found');
    expect(stdout).toContain('1·onDiagonal + 0.0051·offDiagonal, as it should');
    expect(code).toBe(0);
  });

  it('names a mistake, of TypeScript too, as text, JSON and page', async () => {
    const typed = barlowTwins().replace(
      'mean(c.map((x) => (x - m) ** 2))',
      '(c.reduce((s: number, x: number) => s + (x - m) ** 2, 0) / (c.length - 1))',
    );
    const path = write('unbiased.ts', typed);
    const page = join(folder, 'page.html');
    const { code, stdout } = await audit(path, ...fast, '--html', page);
    expect(stdout).toContain('the diagonal of identical views is (n−1)/n, not 1');
    expect(code).toBe(1);
    expect(readFileSync(page, 'utf8')).toContain('MONAI');
    expectWhole(readFileSync(page, 'utf8'));
    const json = await audit(path, ...fast, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ verdict: 'findings', family: 'barlow-twins', findings: [{ certain: true }] });
    expect(json.code).toBe(1);
  });

  it('takes the export and the options that are named', async () => {
    const path = write('named.mjs', barlowTwins('', 'mine'));
    expect((await audit(path, '--export', 'mine', ...fast)).code).toBe(0);
    const missing = await audit(path, ...fast);
    expect(missing).toMatchObject({ code: 2, stdout: expect.stringContaining('its functions are mine') });
    const { code, stdout } = await audit(path, '--export', 'mine', '--set', 'offDiagonal=1', '--set', 'scale=1', ...fast);
    expect(stdout).toContain('offDiagonal is 0.0051, not 1');
    expect(code).toBe(1);
  });

  it('audits our own, and one property alone', async () => {
    const { code, stdout } = await audit('--method', 'byol', '--property', 'bounds of byol', ...fast);
    expect(stdout).toContain('nothing found: one property');
    expect(code).toBe(0);
  });

  it.each<[string, string, number, RegExp]>([
    ['throws', 'throw new Error("not today");', 2, /throws .*not today/],
    ['loops without end', 'while (true) {}', 2, /time limit of 2 s/],
    ['promises what never comes', 'return new Promise(() => undefined);', 2, /time limit of 2 s/],
    ['returns NaN', 'return NaN;', 1, /it is NaN/],
    ['returns a string', 'return "0.5";', 2, /returns the string '0.5'/],
    ['returns an array', 'return [1, 2];', 2, /returns an array of 2/],
    ['returns nothing', 'return;', 2, /returns .*undefined/],
    ['ends the process', 'process.exit(0);', 2, /ended its process/],
    ['changes its arguments', 'za[0][0] += 1; za[0][0] -= 1; za[0] = za[0].map((x) => x + 1);', 1, /changed za/],
    ['draws at random', 'return Math.random();', 1, /the same batch gave .*random/],
    ['needs 4096 samples', 'if (za.length !== 4096) throw new Error("n must be 4096");', 2, /n must be 4096.*--samples/],
  ])('ends well with a loss that %s', async (name, body, expected, said) => {
    const path = write(`${name.replaceAll(' ', '-')}.mjs`, barlowTwins(body));
    const { code, stdout, stderr } = await audit(path, ...fast, '--time-limit', '2');
    expect(stdout + stderr).toMatch(said);
    expect(code).toBe(expected);
  });

  it('goes on with a loss that prints, promises, or takes one size', async () => {
    const printing = await audit(write('prints.mjs', barlowTwins('console.log("step");')), ...fast);
    expect(printing).toMatchObject({ code: 0, stdout: expect.stringContaining("the loss prints, as 'step'") });
    const large = barlowTwins('if (za.length !== 512) throw new Error("n must be 512");').replace(
      'export function',
      'export async function',
    );
    expect((await audit(write('large.mjs', large), '--samples', '512', '--dimensions', '4', '--runs', '4')).code).toBe(0);
  });

  it('refuses calls that make no sense', async () => {
    const path = write('again.mjs', barlowTwins());
    const refused: readonly (readonly [readonly string[], RegExp])[] = [
      [[], /audit takes one loss/],
      [[path, '--method', 'byol'], /audit takes one loss/],
      [[path, '--family', 'barlow'], /--family is one of/],
      [[path, '--dialect', 'official'], /has no dialects/],
      [[path, '--set', 'lambda=1'], /lambda/],
      [[path, '--property', 'beauty'], /property: there is no/],
      [[join(folder, 'absent.mjs')], /cannot be loaded/],
      [[write('empty.mjs', 'export const x = 1;'), '--family', 'byol'], /exports no function/],
      [['--method', 'vicregl'], /there is no loss 'vicregl' with a definition/],
    ];
    for (const [words, said] of refused) {
      const { code, stdout, stderr } = await audit(...words);
      expect(stdout + stderr).toMatch(said);
      expect(code).toBe(2);
    }
  });

  it('asks a program over its standard input', async () => {
    // The protocol in a dozen lines, of Node so that no Python is needed.
    const program = (loss: string): string => `
import { readSync, writeSync } from 'node:fs';
const read = (n) => { const b = Buffer.alloc(n); for (let at = 0; at < n; ) { const got = readSync(0, b, at, n - at); if (got === 0) process.exit(); at += got; } return b; };
const line = () => { let text = ''; for (;;) { const c = read(1).toString(); if (c === '\\n') return text; text += c; } };
for (;;) {
  const { id, arrays } = JSON.parse(line());
  const [p1, p2, z1, z2] = arrays.map(({ shape }) => new Float64Array(read(8 * shape[0] * shape[1]).buffer));
  const d = arrays[0].shape[1];
  ${loss}
}`;
    const right = `
  const cos = (x, y) => { let s = 0; const n = x.length / d; for (let i = 0; i < n; i++) { let [a, b, c] = [0, 0, 0]; for (let j = i * d; j < i * d + d; j++) { a += x[j] * y[j]; b += x[j] ** 2; c += y[j] ** 2; } s += a / (Math.max(Math.sqrt(b), 1e-8) * Math.max(Math.sqrt(c), 1e-8)); } return s / n; };
  console.log('hello');
  writeSync(1, 'no end' + JSON.stringify({ id, loss: -(cos(p1, z2) + cos(p2, z1)) / 2 }) + '\\n');`;
    const run = (name: string, loss: string): Promise<Finished> =>
      audit('--command', `${process.execPath} ${write(name, program(loss))}`, '--family', 'simsiam', '--time-limit', '2', ...fast);
    const good = await run('simsiam.mjs', right);
    expect(good.stdout).toMatch(/nothing found[\s\S]*printed \d+ lines that are no answers/);
    expect(good.code).toBe(0);
    const whole = await run('whole.mjs', right.replace('/ 2 }', '}'));
    expect(whole.stdout).toContain('the loss counts twice (not halved)');
    expect(whole.code).toBe(1);
    const ends: readonly (readonly [string, string, RegExp])[] = [
      ['exits.mjs', 'process.exit(3);', /ended with code 3 before it answered/],
      ['says.mjs', `writeSync(1, JSON.stringify({ id, loss: 'much' }) + '\\n');`, /loss "much"; it must be a number/],
      ['fails.mjs', `writeSync(1, JSON.stringify({ id, error: 'no GPU' }) + '\\n');`, /no GPU/],
    ];
    for (const [name, body, said] of ends) {
      const { code, stdout } = await run(name, body);
      expect(stdout).toMatch(said);
      expect(code).toBe(2);
    }
  });

  it.each([
    ['echo', 'console.log(line)', /neither a loss nor an error/],
    ['otherId', 'console.log(JSON.stringify({ id: id + 5, loss: 0 }))', /the id of the question is 1/],
    ['endless', "process.stdout.write('x'.repeat(2 ** 21))", /without the end of a line/],
    ['flood', "process.stdout.write('y\\n'.repeat(100_001))", /100000 lines before its first answer/],
  ])('does not wait for a program that will not answer: %s', async (name, answer, reason) => {
    const { code, stdout } = await audit('--command', program(`${name}.mjs`, answer), '--family', 'vicreg', ...fast);
    expect(stdout).toMatch(reason);
    expect(code).toBe(2);
  });

  it('says of a module that Node takes for CommonJS how to name it', async () => {
    const inside = mkdtempSync(join(folder, 'commonjs-'));
    writeFileSync(join(inside, 'package.json'), '{ "type": "commonjs" }');
    const path = join(inside, 'loss.ts');
    writeFileSync(path, 'export const loss = (a: number[][]): number => a.length;');
    const { code, stdout } = await audit(path, '--family', 'byol');
    expect(stdout).toContain('name it .mts, or say "type": "module"');
    expect(code).toBe(2);
  });
});
