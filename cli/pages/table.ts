import { type Content, type Html, html, shownNumber } from './html.ts';

/** A cell: numbers are shown with four digits unless they come as text. */
export type Cell = string | number | null | Html | { readonly content: Content; readonly best?: boolean };

export interface Column {
  readonly name: string;
  /** Under the name: the unit, or what is better. */
  readonly unit?: string;
  /** Text stands to the left; numbers, which is the rule, to the right. */
  readonly text?: boolean;
}

export interface DataTable {
  readonly caption?: string;
  /** Of which the first says what a row is of. */
  readonly columns: readonly Column[];
  /** A row of one cell is a heading of those that follow. */
  readonly rows: readonly (readonly Cell[])[];
}

/** A table that scrolls by itself where the window is too narrow for it. A `best` cell has a star beside its weight. */
export function dataTable({ caption, columns, rows }: DataTable): Html {
  const side = (i: number): Content => (i === 0 || columns[i]?.text ? html` class="l"` : null);
  const head = columns.map(
    ({ name, unit }, i) => html`<th scope="col"${side(i)}>${name}${!unit ? null : html`<small>${unit}</small>`}</th>`,
  );
  const body = rows.map(([first = null, ...rest]) =>
    rest.length === 0
      ? html`<tr class="group"><th scope="rowgroup" class="l" colspan="${columns.length}">${contentOf(first)}</th></tr>`
      : html`<tr><th scope="row" class="l">${contentOf(first)}</th>${rest.map((cell, i) => html`<td${isBest(cell) ? html` class="best"` : side(i + 1)}>${contentOf(cell)}</td>`)}</tr>`,
  );
  return html`<div class="scroll"><table>${caption === undefined ? null : html`<caption>${caption}</caption>`}<thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

const isMarked = (cell: Cell): cell is Extract<Cell, { readonly content: Content }> =>
  typeof cell === 'object' && cell !== null && 'content' in cell;
const isBest = (cell: Cell): boolean => isMarked(cell) && (cell.best ?? false);

function contentOf(cell: Cell): Content {
  if (cell === null) return '–';
  if (typeof cell === 'number') return shownNumber(cell);
  return isMarked(cell) ? cell.content : cell;
}
