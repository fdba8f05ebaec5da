import type { Block } from './block.js';
import { encodeOffsets, readOffsets, selectDeltas } from './delta-column.js';
import { textStarts } from './read-blocks.js';

/** Up to here a loop is faster than a view and a copy of it. */
const shortBytes = 64;

/** Some events of a block, as a block that is laid out by the same rules. Not for the hot path. */
export function selectRows(block: Block, rows: readonly number[]): Block {
  const { severity, bodies, count } = block;
  const fixed = (array: Uint8Array | undefined, width: number) => array && gather(array, width, rows);
  const attributes = selectAttributes(block, rows);
  return {
    ...block,
    count: rows.length,
    offsets: encodeOffsets(selectNumbers(offsetsOf(block), rows)),
    times: selectDeltas(block.times, count, rows),
    steps: block.steps && selectDeltas(block.steps, count, rows),
    severity: typeof severity === 'number' ? severity : selectSeverities(severity, rows),
    bodies: bodies && gatherTexts(bodies, textStarts(bodies, count, 1), rows),
    metrics: gather(block.metrics, 8 * block.metricCount, rows),
    ...attributes,
    traceIds: fixed(block.traceIds, 16),
    spanIds: fixed(block.spanIds, 8),
  };
}

/** The offsets of a block's events. */
export function offsetsOf(block: Block): Uint32Array {
  return readOffsets(block.offsets, block.count);
}

/** The same block with offsets that are less by so much. */
export function shiftOffsets(block: Block, by: number): Block {
  return { ...block, offsets: encodeOffsets(offsetsOf(block).map((offset) => offset - by)) };
}

function selectNumbers(numbers: Uint32Array, rows: readonly number[]): Uint32Array {
  return Uint32Array.from(rows, (row) => numbers[row]!);
}

function selectSeverities(severities: Uint8Array, rows: readonly number[]): number | Uint8Array {
  const selected = gather(severities, 1, rows);
  const [first = 0] = selected;
  return selected.every((severity) => severity === first) ? first : selected;
}

function selectAttributes(block: Block, rows: readonly number[]): Pick<Block, 'attributes' | 'isConstant'> {
  const { attributes, isConstant } = block;
  if (isConstant) return { attributes, isConstant };
  const starts = textStarts(attributes, block.count, block.attributeCount);
  const textsOf = (row: number) => attributes.subarray(starts[row], starts[row + 1]);
  const first = textsOf(rows[0]!);
  if (rows.every((row) => Buffer.compare(textsOf(row), first) === 0))
    return { attributes: first, isConstant: true };
  return { attributes: gatherTexts(attributes, starts, rows), isConstant: false };
}

function gather(array: Uint8Array, width: number, rows: readonly number[]): Uint8Array {
  const gathered = new Uint8Array(rows.length * width);
  let at = 0;
  for (const row of rows) at = copyTo(gathered, at, array, row * width, (row + 1) * width);
  return gathered;
}

function gatherTexts(texts: Uint8Array, starts: Uint32Array, rows: readonly number[]): Uint8Array {
  let length = 0;
  for (const row of rows) length += starts[row + 1]! - starts[row]!;
  const gathered = new Uint8Array(length);
  let at = 0;
  for (const row of rows) at = copyTo(gathered, at, texts, starts[row]!, starts[row + 1]!);
  return gathered;
}

/** Returns the position behind the copy. */
function copyTo(to: Uint8Array, position: number, array: Uint8Array, from: number, end: number): number {
  let at = position;
  if (end - from > shortBytes) {
    to.set(array.subarray(from, end), at);
    return at + end - from;
  }
  for (let index = from; index < end; index++) to[at++] = array[index]!;
  return at;
}
