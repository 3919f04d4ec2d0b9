import { NAN } from './expressions.ts';
import { constants, type Emitter, type Shader, Views, workgroupMemory } from './shader.ts';

/** Threads of a workgroup along each side of a square, and columns of a panel. */
const PANEL = 16;
/** Rows and columns that a workgroup updates at once: each thread has 4×4 elements, PANEL apart. */
const TILE = 4 * PANEL;
/** From one column of a tile to the next: one more, so that threads that write a column meet different banks. */
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
  const alternatives = [small(size, place), large(place)];
  const { workgroupBytes, declarations, body } = alternatives.find((each) => each.workgroupBytes <= context.gpu.workgroupBytes)!;
  return [
    views.shader({
      name: 'cholesky',
      threads: PANEL ** 2,
      groups: batch,
      workgroupBytes,
      declarations: {
        ...constants({ size, panel: PANEL }),
        ...declarations,
        at: 'fn at(row: i32, column: i32) -> i32 { return row * (row + 1) / 2 + column; }',
      },
      body: `let across = thread % panel;
let down = thread / panel;
if (thread == 0) { indefinite = 0; }
${body}`,
    }),
  ];
};

/** Elements of what is given, and of the output. */
interface Place {
  readonly input: (row: string, column: string) => string;
  readonly load: (row: string, column: string) => string;
  readonly store: (row: string, column: string, value: string) => string;
}

type Algorithm = Pick<Shader, 'declarations' | 'workgroupBytes' | 'body'>;

/** Statements for every element of the matrix. */
const each = (statements: string): string => `for (var row = down; row < size; row += panel) {
for (var column = across; column < size; column += panel) {
${statements}
}
}`;

/** What is not positive definite is NaN throughout. */
const finished = ({ store }: Place, value: string): string =>
  each(store('row', 'column', `select(select(0.0, ${value}, column <= row), ${NAN}, indefinite != 0)`));

/** For factoring a triangle, whose rows lie one after the other. */
const memoryOf = (size: number) => ({ triangle: ['f32', (size * (size + 1)) / 2], roots: ['f32', size], indefinite: ['u32'] }) as const;

/**
 * Factors `triangle` in place. Columns wait to the end for their division by the root of the pivot: A₂₂ ← A₂₂ − a₁·a₁ᵀ/a₁₁ needs none of them. So
 * there is one barrier a column.
 */
const factored = (size: string): string => `for (var j = 0; j < ${size}; j++) {
  let pivot = triangle[at(j, j)];
  if (thread == 0) {
    roots[j] = sqrt(pivot);
    if (!(pivot > 0.0) || isNan(pivot)) { indefinite = 1; }
  }
  let inverse = 1.0 / pivot;
  for (var row = j + 1 + down; row < ${size}; row += panel) {
    let factor = triangle[at(row, j)] * inverse;
    for (var column = j + 1 + across; column <= row; column += panel) { triangle[at(row, column)] -= factor * triangle[at(column, j)]; }
  }
  workgroupBarrier();
}
for (var row = down; row < ${size}; row += panel) {
  for (var column = across; column <= row; column += panel) { triangle[at(row, column)] /= roots[column]; }
}
workgroupBarrier();`;

const small = (size: number, place: Place): Algorithm => ({
  ...workgroupMemory(memoryOf(size)),
  body: `${each(`if (column <= row) { triangle[at(row, column)] = ${place.input('row', 'column')}; }`)}
workgroupBarrier();
${factored('size')}
${finished(place, 'triangle[at(row, column)]')}`,
});

/**
 *   for each panel of 16 columns      ┌───┐
 *     L₁₁ ← factor of A₁₁             │L₁₁│        in workgroup memory
 *     L₂₁ ← A₂₁ · L₁₁⁻ᵀ               ├───┼─────┐  a thread for each row
 *     A₂₂ ← A₂₂ − L₂₁ · L₂₁ᵀ          │L₂₁│ A₂₂ │  in tiles, those on and below the diagonal
 *                                     └───┴─────┘
 */
const large = (place: Place): Algorithm => {
  const { declarations, workgroupBytes } = workgroupMemory({
    ...memoryOf(PANEL),
    rowStrip: ['f32', PANEL * PITCH],
    columnStrip: ['f32', PANEL * PITCH],
  });
  return {
    workgroupBytes,
    declarations: { ...constants({ tile: TILE, pitch: PITCH }), ...declarations },
    body: `${each(`if (column <= row) { ${place.store('row', 'column', place.input('row', 'column'))} }`)}
storageBarrier();
for (var start = 0; start < size; start += panel) {
  let width = min(panel, size - start);
  let rest = start + panel;
  if (down < width && across <= down) { triangle[at(down, across)] = ${place.load('(start + down)', '(start + across)')}; }
  workgroupBarrier();
  ${factored('width')}
  if (down < width && across <= down) { ${place.store('(start + down)', '(start + across)', 'triangle[at(down, across)]')} }
  ${solvedBelow(place)}
  storageBarrier();
  workgroupBarrier();
  for (var top = rest; top < size; top += tile) {
    for (var left = rest; left <= top; left += tile) {
      ${updated(place)}
      workgroupBarrier();
    }
  }
  storageBarrier();
}
${finished(place, place.load('row', 'column'))}`,
  };
};

/** L₂₁ ← A₂₁ · L₁₁⁻ᵀ */
const solvedBelow = ({ load, store }: Place): string => `for (var row = rest + thread; row < size; row += panel * panel) {
  var solved: array<f32, panel>;
  for (var j = 0; j < panel; j++) {
    var value = ${load('row', '(start + j)')};
    for (var k = 0; k < j; k++) { value -= solved[k] * triangle[at(j, k)]; }
    solved[j] = value / triangle[at(j, j)];
    ${store('row', '(start + j)', 'solved[j]')}
  }
}`;

/** A₂₂ ← A₂₂ − L₂₁ · L₂₁ᵀ, the tile at `top` and `left` */
const updated = ({ load, store }: Place): string => `for (var line = down; line < tile; line += panel) {
  let place = across * pitch + line;
  rowStrip[place] = 0.0;
  if (top + line < size) { rowStrip[place] = ${load('(top + line)', '(start + across)')}; }
  columnStrip[place] = 0.0;
  if (left + line < size) { columnStrip[place] = ${load('(left + line)', '(start + across)')}; }
}
workgroupBarrier();
var sums = array<array<f32, 4>, 4>();
for (var k = 0; k < panel; k++) {
  for (var y = 0; y < 4; y++) {
    let factor = rowStrip[k * pitch + down + y * panel];
    for (var x = 0; x < 4; x++) { sums[y][x] += factor * columnStrip[k * pitch + across + x * panel]; }
  }
}
for (var y = 0; y < 4; y++) {
  for (var x = 0; x < 4; x++) {
    let row = top + down + y * panel;
    let column = left + across + x * panel;
    if (row < size && column <= row) { ${store('row', 'column', `${load('row', 'column')} - sums[y][x]`)} }
  }
}`;
