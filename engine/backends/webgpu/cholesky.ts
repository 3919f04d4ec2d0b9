import { literal } from './expressions.ts';
import { type Emitter, type Shader, Views } from './shader.ts';

/** Threads of a workgroup along each side of a square, and columns of a panel. */
const PANEL = 16;
const THREADS = PANEL * PANEL;
/** Rows and columns that a workgroup updates at once: each thread has 4×4 elements, PANEL apart. */
const TILE = 4 * PANEL;
/** One more, so that threads that write a column meet different banks. */
const PITCH = TILE + 1;

/** A workgroup for each matrix: in its memory where it is small, else in the output, panel by panel. */
export const cholesky: Emitter<'cholesky'> = ({ inputs: [from], outputs: [to] }, context) => {
  const [batch = 0, size = 0] = to!.shape;
  const views = new Views(context, [from!], [to!]);
  const place: Place = {
    input: (row, column) => views.load(from!, ['group', row, column]),
    load: (row, column) => views.load(to!, ['group', row, column]),
    store: (row, column, value) => views.store(to!, ['group', row, column], value),
  };
  const { declarations, workgroupBytes, body } = bytesOf(size) <= context.gpu.workgroupBytes ? small(size, place) : large(size, place);
  const statements = `let across = thread % ${PANEL};
let down = thread / ${PANEL};
${body}`;
  return [views.shader({ name: 'cholesky', threads: THREADS, workgroupBytes, groups: batch, declarations, body: statements })];
};

interface Place {
  input(row: string, column: string): string;
  load(row: string, column: string): string;
  store(row: string, column: string, value: string): string;
}

type Algorithm = (size: number, place: Place) => Pick<Shader, 'declarations' | 'workgroupBytes' | 'body'>;

const workgroupArray = (name: string, length: number): string => `var<workgroup> ${name}: array<f32, ${length}>;`;

/** Statements for every element of a square, row by row. */
const each = (size: number, statements: string): string => `for (var row = down; row < ${size}; row += ${PANEL}) {
for (var column = across; column < ${size}; column += ${PANEL}) {
${statements}
}
}`;

/** What is not positive definite is NaN throughout. */
const finished = (size: number, { store }: Place, value: string): string =>
  each(size, store('row', 'column', `select(select(0.0, ${value}, column <= row), ${literal(Number.NaN, 'f32')}, indefinite != 0)`));

/** Elements of a triangle, row after row. */
const lengthOf = (size: number): number => (size * (size + 1)) / 2;
const at = (row: string, column: string): string => `triangle[${row} * (${row} + 1) / 2 + ${column}]`;

/** Workgroup memory for factoring a triangle in place. */
const bytesOf = (size: number): number => 4 * (lengthOf(size) + size + 1);
const declarationsOf = (size: number): Shader['declarations'] => ({
  triangle: workgroupArray('triangle', lengthOf(size)),
  roots: workgroupArray('roots', size),
  indefinite: 'var<workgroup> indefinite: u32;',
});

/**
 * Factors `triangle` in place. Columns wait to the end for their division by the root of the pivot: A₂₂ ← A₂₂ − a₁·a₁ᵀ/a₁₁ needs none of them. So
 * there is one barrier a column.
 */
const factored = (size: string | number): string => `for (var j = 0; j < ${size}; j++) {
  let pivot = ${at('j', 'j')};
  if (thread == 0) {
    roots[j] = sqrt(pivot);
    if (!(pivot > 0.0) || isNan(pivot)) { indefinite = 1; }
  }
  let inverse = 1.0 / pivot;
  for (var row = j + 1 + down; row < ${size}; row += ${PANEL}) {
    let factor = ${at('row', 'j')} * inverse;
    for (var column = j + 1 + across; column <= row; column += ${PANEL}) { ${at('row', 'column')} -= factor * ${at('column', 'j')}; }
  }
  workgroupBarrier();
}
for (var row = down; row < ${size}; row += ${PANEL}) {
  for (var column = across; column <= row; column += ${PANEL}) { ${at('row', 'column')} /= roots[column]; }
}
workgroupBarrier();`;

const small: Algorithm = (size, place) => ({
  declarations: declarationsOf(size),
  workgroupBytes: bytesOf(size),
  body: `if (thread == 0) { indefinite = 0; }
${each(size, `if (column <= row) { ${at('row', 'column')} = ${place.input('row', 'column')}; }`)}
workgroupBarrier();
${factored(size)}
${finished(size, place, at('row', 'column'))}`,
});

/**
 *   for each panel of 16 columns      ┌───┐
 *     L₁₁ ← factor of A₁₁             │L₁₁│        in workgroup memory
 *     L₂₁ ← A₂₁ · L₁₁⁻ᵀ               ├───┼─────┐  a thread for each row
 *     A₂₂ ← A₂₂ − L₂₁ · L₂₁ᵀ          │L₂₁│ A₂₂ │  in tiles, those on and below the diagonal
 *                                     └───┴─────┘
 */
const large: Algorithm = (size, place) => ({
  declarations: {
    ...declarationsOf(PANEL),
    rowStrip: workgroupArray('rowStrip', PANEL * PITCH),
    columnStrip: workgroupArray('columnStrip', PANEL * PITCH),
  },
  workgroupBytes: bytesOf(PANEL) + 8 * PANEL * PITCH,
  body: `if (thread == 0) { indefinite = 0; }
${each(size, `if (column <= row) { ${place.store('row', 'column', place.input('row', 'column'))} }`)}
storageBarrier();
for (var start = 0; start < ${size}; start += ${PANEL}) {
  let width = min(${PANEL}, ${size} - start);
  let rest = start + ${PANEL};
  if (down < width && across <= down) { ${at('down', 'across')} = ${place.load('(start + down)', '(start + across)')}; }
  workgroupBarrier();
${factored('width')}
  if (down < width && across <= down) { ${place.store('(start + down)', '(start + across)', at('down', 'across'))} }
  for (var row = rest + thread; row < ${size}; row += ${THREADS}) {
    var solved: array<f32, ${PANEL}>;
    for (var j = 0; j < ${PANEL}; j++) {
      var value = ${place.load('row', '(start + j)')};
      for (var k = 0; k < j; k++) { value -= solved[k] * ${at('j', 'k')}; }
      solved[j] = value / ${at('j', 'j')};
      ${place.store('row', '(start + j)', 'solved[j]')}
    }
  }
  storageBarrier();
  workgroupBarrier();
  for (var top = rest; top < ${size}; top += ${TILE}) {
    for (var left = rest; left <= top; left += ${TILE}) {
      for (var line = down; line < ${TILE}; line += ${PANEL}) {
        let at = across * ${PITCH} + line;
        rowStrip[at] = 0.0;
        if (top + line < ${size}) { rowStrip[at] = ${place.load('(top + line)', '(start + across)')}; }
        columnStrip[at] = 0.0;
        if (left + line < ${size}) { columnStrip[at] = ${place.load('(left + line)', '(start + across)')}; }
      }
      workgroupBarrier();
      var sums = array<array<f32, 4>, 4>();
      for (var k = 0; k < ${PANEL}; k++) {
        for (var y = 0; y < 4; y++) {
          let factor = rowStrip[k * ${PITCH} + down + y * ${PANEL}];
          for (var x = 0; x < 4; x++) { sums[y][x] += factor * columnStrip[k * ${PITCH} + across + x * ${PANEL}]; }
        }
      }
      for (var y = 0; y < 4; y++) {
        for (var x = 0; x < 4; x++) {
          let row = top + down + y * ${PANEL};
          let column = left + across + x * ${PANEL};
          if (row < ${size} && column <= row) { ${place.store('row', 'column', `${place.load('row', 'column')} - sums[y][x]`)} }
        }
      }
      workgroupBarrier();
    }
  }
  storageBarrier();
}
${finished(size, place, place.load('row', 'column'))}`,
});
