import type { Block } from './block.js';
import { textStarts } from './read-blocks.js';

/** Some events of a block, as a block that is laid out by the same rules. Not for the hot path. */
export function selectRows(block: Block, rows: readonly number[]): Block {
  const { severity, bodies, count } = block;
  const fixed = (array: Uint8Array | undefined, width: number) => array && gather(array, width, rows);
  const attributes = selectAttributes(block, rows);
  return {
    ...block,
    count: rows.length,
    offsets: gather(block.offsets, 4, rows),
    times: gather(block.times, 8, rows),
    steps: fixed(block.steps, 8),
    severity: typeof severity === 'number' ? severity : selectSeverities(severity, rows),
    bodies: bodies && gatherTexts(bodies, textStarts(bodies, count, 1), rows),
    metrics: gather(block.metrics, 8 * block.metricCount, rows),
    ...attributes,
    traceIds: fixed(block.traceIds, 16),
    spanIds: fixed(block.spanIds, 8),
  };
}

/** The offsets of a block's events. */
export function offsetsOf(block: Block): number[] {
  const { offsets } = block;
  const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.length);
  return Array.from({ length: block.count }, (_, row) => view.getUint32(row * 4, true));
}

/** The same block with offsets that are less by so much. */
export function shiftOffsets(block: Block, by: number): Block {
  const offsets = new Uint8Array(block.offsets.length);
  const view = new DataView(offsets.buffer);
  for (const [row, offset] of offsetsOf(block).entries()) view.setUint32(row * 4, offset - by, true);
  return { ...block, offsets };
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
  for (const [index, row] of rows.entries()) {
    const from = row * width;
    if (width === 1) gathered[index] = array[from]!;
    else gathered.set(array.subarray(from, from + width), index * width);
  }
  return gathered;
}

function gatherTexts(texts: Uint8Array, starts: Uint32Array, rows: readonly number[]): Uint8Array {
  let length = 0;
  for (const row of rows) length += starts[row + 1]! - starts[row]!;
  const gathered = new Uint8Array(length);
  let at = 0;
  for (const row of rows) {
    gathered.set(texts.subarray(starts[row], starts[row + 1]), at);
    at += starts[row + 1]! - starts[row]!;
  }
  return gathered;
}
