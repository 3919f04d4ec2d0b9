import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import { texts } from '../locale.ts';
import type { FigureName } from '../texts/en.ts';

/** The frame of a picture: its name, how to read it, and the same as a table for those who do not see it. */
export function Figure(properties: {
  readonly name: FigureName;
  readonly children: ComponentChildren;
  /** What stands right of the name. */
  readonly aside?: ComponentChildren;
  /** Made when it is asked for, and then with each change. */
  readonly table?: () => JSX.Element | null;
  readonly quiet?: boolean;
}): JSX.Element {
  const { name, children, aside, table, quiet = false } = properties;
  const heading = useId();
  const shown = useSignal(false);
  const { title, caption } = texts.value.figures[name];
  return (
    <figure class={`figure figure-${name}`} aria-labelledby={heading}>
      <figcaption>
        <h2 id={heading}>{title}</h2>
        {aside && <span class="aside">{aside}</span>}
        {!quiet && <p>{caption}</p>}
      </figcaption>
      {children}
      {table && (
        <details
          class="table"
          onToggle={({ currentTarget }) => {
            shown.value = currentTarget.open;
          }}
        >
          <summary>{texts.value.asTable}</summary>
          {shown.value && <div class="scroll">{table()}</div>}
        </details>
      )}
    </figure>
  );
}

/** A table whose first column names its rows. */
export function Table(properties: { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }): JSX.Element {
  return (
    <table>
      <thead>
        <tr>
          {properties.columns.map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {properties.rows.map(([head, ...cells]) => (
          <tr key={head}>
            <th scope="row">{head}</th>
            {cells.map((cell, i) => (
              // Cells have no names but their places.
              <td key={i}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export const Waiting = (): JSX.Element => <p class="waiting">{texts.value.waiting}</p>;
