import { defaultSeverity } from '../event-options.js';
import { tag, varintSize, wireType, writeVarint } from './protobuf.js';

/**
 * One `EventBlock`, as the bytes of its arrays. How it is laid out:
 *
 * 1. Fields in the order of their numbers; none that is empty.
 * 2. Severities: left out if all are 9, one byte if all are the same, else one each.
 * 3. Attributes: once if all events have the same, also if there is only one event; else one each.
 */
export interface Block {
  /** The field with tag and length. */
  readonly name: Uint8Array;
  readonly count: number;
  /** As differences, and so are the times and the steps; see `delta-column.ts`. */
  readonly offsets: Uint8Array;
  readonly times: Uint8Array;
  readonly steps: Uint8Array | undefined;
  /** That of all events, or one byte each. */
  readonly severity: number | Uint8Array;
  readonly bodies: Uint8Array | undefined;
  /** The fields with tags and lengths, as often as there are names. */
  readonly metricNames: Uint8Array;
  readonly metricCount: number;
  readonly metrics: Uint8Array;
  readonly attributeNames: Uint8Array;
  readonly attributeCount: number;
  /** Those of all events, or of each. */
  readonly attributes: Uint8Array;
  readonly isConstant: boolean;
  readonly traceIds: Uint8Array | undefined;
  readonly spanIds: Uint8Array | undefined;
}

/** Field numbers of `EventBlock`. */
export const blockFields = {
  name: 1,
  count: 2,
  severity: 6,
  bodies: 7,
  metricName: 8,
  metrics: 9,
  attributeName: 10,
  attributes: 11,
  traceIds: 12,
  spanIds: 13,
  offsets: 14,
  times: 15,
  steps: 16,
} as const;

/** The field `blocks` of a LogRequest. */
const blocksTag = tag(4, wireType.bytes);

/** Bytes of a block as a field of a request. */
export function blockSize(block: Block): number {
  const inner = innerSize(block);
  return 1 + varintSize(inner) + inner;
}

/** Writes a block as a field of a request; returns the position after it. */
export function writeBlock(block: Block, bytes: Buffer, position: number): number {
  bytes[position] = blocksTag;
  let at = writeVarint(bytes, position + 1, innerSize(block));
  at = copy(bytes, at, block.name);
  bytes[at++] = tag(blockFields.count, wireType.varint);
  at = writeVarint(bytes, at, block.count);
  if (typeof block.severity !== 'number') {
    at = writeArray(bytes, at, blockFields.severity, block.severity);
  } else if (block.severity !== defaultSeverity) {
    bytes[at++] = tag(blockFields.severity, wireType.bytes);
    bytes[at++] = 1;
    bytes[at++] = block.severity;
  }
  at = writeArray(bytes, at, blockFields.bodies, block.bodies);
  at = copy(bytes, at, block.metricNames);
  at = writeArray(bytes, at, blockFields.metrics, block.metrics);
  at = copy(bytes, at, block.attributeNames);
  at = writeArray(bytes, at, blockFields.attributes, block.attributes);
  at = writeArray(bytes, at, blockFields.traceIds, block.traceIds);
  at = writeArray(bytes, at, blockFields.spanIds, block.spanIds);
  at = writeArray(bytes, at, blockFields.offsets, block.offsets);
  at = writeArray(bytes, at, blockFields.times, block.times);
  return writeArray(bytes, at, blockFields.steps, block.steps);
}

function innerSize(block: Block): number {
  const { severity } = block;
  return (
    block.name.length +
    1 +
    varintSize(block.count) +
    arraySize(block.offsets) +
    arraySize(block.times) +
    stepTagBytes(block.steps) +
    arraySize(block.steps) +
    (typeof severity !== 'number' ? arraySize(severity) : severity === defaultSeverity ? 0 : 3) +
    arraySize(block.bodies) +
    block.metricNames.length +
    arraySize(block.metrics) +
    block.attributeNames.length +
    arraySize(block.attributes) +
    arraySize(block.traceIds) +
    arraySize(block.spanIds)
  );
}

function arraySize(array: Uint8Array | undefined): number {
  if (array === undefined || array.length === 0) return 0;
  return 1 + varintSize(array.length) + array.length;
}

/** The tag of the steps takes two bytes, those of all other fields one. */
function stepTagBytes(steps: Uint8Array | undefined): number {
  return steps === undefined || steps.length === 0 ? 0 : 1;
}

function writeArray(bytes: Buffer, position: number, field: number, array: Uint8Array | undefined): number {
  if (array === undefined || array.length === 0) return position;
  const at = writeVarint(bytes, position, tag(field, wireType.bytes));
  return copy(bytes, writeVarint(bytes, at, array.length), array);
}

function copy(bytes: Buffer, position: number, from: Uint8Array): number {
  bytes.set(from, position);
  return position + from.length;
}
