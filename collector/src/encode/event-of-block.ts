/**
 * One row of an `EventBlock` as an encoded `Event`: what quarantine keeps, which holds events one by one.
 *
 * Source of the format: https://protobuf.dev/programming-guides/encoding/
 */
import type { DeltaRows } from '../deltas.js';
import { absent, type BlockView, skipTexts, spanIdBytes, traceIdBytes } from '../event-block.js';
import { MessageBytes } from './message-bytes.js';

export function encodeBlockEvent(block: BlockView, row: number): Buffer {
  const { bytes } = block;
  const event = new MessageBytes();
  event.fixed64(0x09, numberAt(block.times, row));
  event.bytes(0x12, bytes.subarray(block.nameStart, block.nameEnd));
  event.uint(0x18, block.severityAt(row));
  if (block.hasBodies) event.bytes(0x22, textAt(bytes, block.bodyPosition(row)));
  if (block.hasSteps) event.sint64(0x28, BigInt.asIntN(64, numberAt(block.steps, row)));
  for (let metric = 0; metric < block.metricCount; metric++) {
    const entry = new MessageBytes();
    entry.bytes(0x0a, nameAt(block.bytes, block.metricNames, metric));
    entry.fixed64(0x11, bytes.readBigUInt64LE(block.metricsPosition(row) + metric * 8));
    event.bytes(0x32, entry.end());
  }
  let position = block.hasSharedAttributes ? block.attributesStart : 0;
  if (!block.hasSharedAttributes && block.attributeCount > 0) position = block.attributesPosition(row);
  for (let attribute = 0; attribute < block.attributeCount; attribute++) {
    const entry = new MessageBytes();
    entry.bytes(0x0a, nameAt(block.bytes, block.attributeNames, attribute));
    entry.bytes(0x12, textAt(bytes, position));
    event.bytes(0x3a, entry.end());
    position = skipTexts(bytes, position, 1);
  }
  if (block.traceIds !== absent) event.bytes(0x42, idAt(bytes, block.traceIds, row, traceIdBytes));
  if (block.spanIds !== absent) event.bytes(0x4a, idAt(bytes, block.spanIds, row, spanIdBytes));
  return event.end();
}

function numberAt(numbers: DeltaRows, row: number): bigint {
  numbers.copy(row, row + 1, halves, 0);
  return (BigInt(halves[1] as number) << 32n) | BigInt(halves[0] as number);
}

const halves = new Uint32Array(2);

function nameAt(bytes: Buffer, names: readonly number[], index: number): Buffer {
  return bytes.subarray(names[index * 2], names[index * 2 + 1]);
}

function textAt(bytes: Buffer, position: number): Buffer {
  let start = position;
  while ((bytes[start] as number) >= 0x80) start++;
  return bytes.subarray(start + 1, skipTexts(bytes, position, 1));
}

function idAt(bytes: Buffer, ids: number, row: number, size: number): Buffer {
  return bytes.subarray(ids + row * size, ids + (row + 1) * size);
}
