/** Figures for people: aligned text, labels to the left, numbers to the right. */

/** A line a figure, with its unit behind it. */
export function aligned(rows: readonly (readonly [label: string, value: string, unit: string])[]): string {
  const labelWidth = Math.max(...rows.map(([label]) => label.length));
  const valueWidth = Math.max(...rows.map(([, value]) => value.length));
  return rows
    .map(([label, value, unit]) =>
      `${label.padEnd(labelWidth)}  ${value.padStart(valueWidth)} ${unit}`.trimEnd(),
    )
    .join('\n');
}

/** A line a case: the first column is its label. */
export function columns(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, index) => Math.max(...all.map((row) => row[index]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
