import { lossReasons } from '@sluice/proto';
import type { LossRange, LossReason } from './loss.js';

const lossField = 5;

/**
 * The losses of an encoded request, ascending. Empty for bytes that are no such request: they were checked by
 * their checksum, and what a later version puts into them is passed over.
 */
export function readLosses(request: Uint8Array): LossRange[] {
  const losses: LossRange[] = [];
  for (const { field, bytes } of fields(request)) {
    if (field !== lossField || bytes === undefined) continue;
    const loss = { first: 0, count: 0, reason: 'refused' as LossReason, timeMs: 0 };
    for (const { field: inner, value } of fields(bytes)) {
      if (inner === 1) loss.first = value;
      else if (inner === 2) loss.count = value;
      else if (inner === 3) loss.reason = (lossReasons[value] as LossReason | undefined) ?? 'refused';
      else if (inner === 5) loss.timeMs = value;
    }
    if (loss.first > 0 && loss.count > 0) losses.push(loss);
  }
  return losses;
}

/** A field of a message: its bytes, or its number (nanoseconds of a fixed64 as milliseconds). */
interface Field {
  readonly field: number;
  readonly value: number;
  readonly bytes: Uint8Array | undefined;
}

function* fields(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 0x80) {
      const byte = message[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === 0) {
      yield { field, value: varint(), bytes: undefined };
    } else if (type === 1 && at + 8 <= message.length) {
      yield { field, value: Number(view.getBigUint64(at, true) / 1000n) / 1000, bytes: undefined };
      at += 8;
    } else if (type === 2) {
      const length = varint();
      yield { field, value: 0, bytes: message.subarray(at, at + length) };
      at += length;
    } else if (type === 5) {
      at += 4;
    } else {
      return;
    }
  }
}
