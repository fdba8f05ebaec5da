/** A curve for the terminal, drawn with Braille patterns: two by four dots a character. */

export interface ChartOptions {
  readonly width: number;
  readonly height: number;
  readonly xLabel: string;
  readonly yLabel: string;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

const columnsPerCell = 2;
const rowsPerCell = 4;
/** Bits of the dots in a Braille pattern, by row, then column (Unicode, block 2800). */
const dots = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

export function drawChart(points: readonly Point[], options: ChartOptions): string {
  const finite = points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  if (finite.length === 0) return `${options.yLabel}: nothing to draw\n`;
  const { width, height } = options;
  const xs = rangeOf(finite.map(({ x }) => x));
  const ys = rangeOf(finite.map(({ y }) => y));
  const cells = Array.from({ length: height }, () => new Uint8Array(width));
  const columns = width * columnsPerCell;
  const rows = height * rowsPerCell;
  const place = ({ x, y }: Point): [column: number, row: number] => [
    Math.round(((x - xs.least) / xs.span) * (columns - 1)),
    Math.round(((ys.most - y) / ys.span) * (rows - 1)),
  ];
  const dot = (column: number, row: number): void => {
    const bit = dots[row % rowsPerCell]?.[column % columnsPerCell] ?? 0;
    const line = cells[Math.floor(row / rowsPerCell)];
    const cell = Math.floor(column / columnsPerCell);
    if (line !== undefined) line[cell] = (line[cell] ?? 0) | bit;
  };
  let [fromColumn, fromRow] = place(finite[0] as Point);
  for (const point of finite) {
    const [column, row] = place(point);
    const way = Math.max(Math.abs(column - fromColumn), Math.abs(row - fromRow), 1);
    for (let at = 0; at <= way; at++) {
      dot(
        Math.round(fromColumn + ((column - fromColumn) * at) / way),
        Math.round(fromRow + ((row - fromRow) * at) / way),
      );
    }
    [fromColumn, fromRow] = [column, row];
  }
  const labels = cells.map((_, line) =>
    line % 3 === 0 || line === height - 1
      ? (ys.most - (ys.span * line) / Math.max(1, height - 1)).toFixed(2)
      : '',
  );
  const margin = Math.max(...labels.map((label) => label.length));
  const lines = cells.map((line, index) => {
    const label = labels[index] ?? '';
    const curve = String.fromCodePoint(...Array.from(line, (bits) => (bits === 0 ? 0x20 : 0x2800 + bits)));
    return `${label.padStart(margin)} ${label === '' ? '│' : '┤'}${curve}`.trimEnd();
  });
  const [first, last] = [String(xs.least), String(xs.most)];
  const middle = options.xLabel.padStart(Math.floor((width + options.xLabel.length) / 2) - first.length);
  const axis = `${first}${middle}${last.padStart(width - first.length - middle.length)}`;
  return `${[
    `${' '.repeat(margin)} ${options.yLabel}`,
    ...lines,
    `${' '.repeat(margin)} └${'─'.repeat(width)}`,
    `${' '.repeat(margin + 2)}${axis}`,
  ].join('\n')}\n`;
}

function rangeOf(values: readonly number[]): { least: number; most: number; span: number } {
  const least = Math.min(...values);
  const most = Math.max(...values);
  return { least, most, span: most - least || 1 };
}
