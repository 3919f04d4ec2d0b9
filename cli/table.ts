/** Rows of cells as aligned text; the first column to the left, the others to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ');
  return [line(header), widths.map((width) => '─'.repeat(width)).join('──'), ...rows.map(line)].join('\n');
}

/** How many characters a line of the terminal holds; 100 where there is none. */
export function terminalWidth(): number {
  return process.stdout.columns || 100;
}

/** Pieces in lines of at most `width`, broken between pieces only. */
export function wrapped(pieces: readonly string[], width: number, gap = ' '): string[] {
  const lines: string[] = [];
  for (const piece of pieces) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + gap.length + piece.length <= width) lines[lines.length - 1] = last + gap + piece;
    else lines.push(piece);
  }
  return lines;
}

/** The left column is no wider than this: what does not fit has a line of its own. */
const WIDEST = 34;

/** Names and what they mean, in two columns. */
export function columns(rows: readonly (readonly [string, string])[], width = Math.min(terminalWidth(), 120)): string[] {
  const lefts = rows.map(([left]) => left.length).filter((length) => length <= WIDEST);
  const column = Math.max(4, ...lefts);
  return rows.flatMap(([left, right]) => {
    const lines = wrapped(right.split(' '), Math.max(20, width - column - 4));
    const first = left.length > column ? [left] : [];
    return [...first, ...lines.map((line, i) => `${(i === 0 && first.length === 0 ? left : '').padEnd(column)}  ${line}`)].map(
      (line) => `  ${line}`,
    );
  });
}

/** .123 as '12.3%'; – for one that is not there. */
export function percent(part: number | null): string {
  return part === null ? '–' : `${(part * 100).toFixed(1)}%`;
}

/** A number with so many digits; – for one that is not there. */
export function fixed(value: number | undefined, digits: number): string {
  return value !== undefined && Number.isFinite(value) ? value.toFixed(digits) : '–';
}

/** Seconds as 1 h 02 m, 3 m 04 s or 5 s. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  if (h > 0) return `${h} h ${two(m)} m`;
  return m > 0 ? `${m} m ${two(s)} s` : `${s} s`;
}
