export interface TableColumn {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Rows under titles, every column as wide as its widest cell. No line ends in blanks. */
export function renderTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(width(title), ...rows.map((row) => width(row[index] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const blanks = ' '.repeat((widths[index] ?? 0) - width(cell));
        return align === 'right' ? blanks + cell : cell + blanks;
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)].map((text) => `${text}\n`).join('');
}

/** Labels and values, for the few lines that a command prints when it is ready. */
export function renderFacts(facts: readonly (readonly [label: string, value: string])[]): string {
  const widest = Math.max(...facts.map(([label]) => width(label)));
  return facts.map(([label, value]) => `  ${label.padEnd(widest)}  ${value}\n`).join('');
}

/** Columns on a terminal, counting a code point as one; names in wide scripts may stand out of line. */
function width(text: string): number {
  return [...text].length;
}
