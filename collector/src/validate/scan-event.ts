/**
 * Checks one event's structure and limits without building anything. The fields' tags are those of
 * `Event` in collector.proto; the encoder (encode/event-columns.ts) reads the same fields by the
 * same rules: the last value of a scalar wins, unknown fields are skipped.
 */
import { rejectionReasons } from '@sluice/proto';
import type { MessageLimits } from '../limits.js';
import type { Cursor } from '../protobuf.js';
import { isValidUtf8 } from '../utf8.js';

/** Reasons by name, as numbers of the wire's `RejectionReason`. */
export const reason = Object.fromEntries(rejectionReasons.map((name, index) => [name, index])) as Record<
  (typeof rejectionReasons)[number],
  number
>;

/** What is wrong with the event scanned last; a scratch object, so that a good event costs nothing. */
export class EventVerdict {
  /** 0 for a good event, otherwise a `RejectionReason`. */
  reason = 0;
  detail = '';

  /** The first thing found stands. */
  reject(why: number, detail: string): void {
    if (this.reason !== 0) return;
    this.reason = why;
    this.detail = detail;
  }
}

/**
 * Scans the event that lies between the cursor's `position` and `end`. Malformed bytes set the
 * cursor's problem; a broken limit sets the verdict.
 */
export function scanEvent(cursor: Cursor, limits: MessageLimits, verdict: EventVerdict): void {
  const { buffer, end } = cursor;
  verdict.reason = 0;
  verdict.detail = '';
  const bytes = end - cursor.position;
  if (bytes > limits.eventBytes) {
    verdict.reject(
      reason.event_too_large,
      `the event has ${bytes} bytes; at most ${limits.eventBytes} are allowed`,
    );
  }
  let keys = 0;
  while (cursor.position < end) {
    const tag = cursor.tag();
    switch (tag) {
      case 0x09: // time_unix_nano
        cursor.fixed64();
        if (cursor.high >= 0x80000000) {
          verdict.reject(reason.time_out_of_range, 'time_unix_nano is 2^63 or more; it must be less');
        }
        break;
      case 0x12: // name
        cursor.bytes();
        if (cursor.fieldEnd - cursor.fieldStart > limits.nameBytes) {
          verdict.reject(
            reason.name_too_long,
            `the name has ${cursor.fieldEnd - cursor.fieldStart} bytes; at most ${limits.nameBytes} are allowed`,
          );
        }
        if (!isValidUtf8(buffer, cursor.fieldStart, cursor.fieldEnd)) {
          verdict.reject(reason.invalid_utf8, 'the name is not valid UTF-8');
        }
        break;
      case 0x18: {
        // severity_number
        const severity = cursor.varint();
        if (severity > 24) {
          verdict.reject(
            reason.severity_out_of_range,
            `severity_number is ${severity}; 1 to 24 are allowed, absent means 9`,
          );
        }
        break;
      }
      case 0x22: // body
        cursor.bytes();
        if (!isValidUtf8(buffer, cursor.fieldStart, cursor.fieldEnd)) {
          verdict.reject(reason.invalid_utf8, 'the body is not valid UTF-8');
        }
        break;
      case 0x28: // step
        cursor.varint64();
        break;
      case 0x32: // metrics
      case 0x3a: // attributes
        keys++;
        scanEntry(cursor, tag === 0x3a, limits, verdict);
        break;
      case 0x42: // trace_id
        cursor.bytes();
        checkIdLength(cursor, 16, reason.trace_id_length, 'trace_id', verdict);
        break;
      case 0x4a: // span_id
        cursor.bytes();
        checkIdLength(cursor, 8, reason.span_id_length, 'span_id', verdict);
        break;
      default:
        cursor.skip(tag);
    }
  }
  if (keys > limits.keysPerEvent) {
    verdict.reject(
      reason.too_many_keys,
      `the event has ${keys} metrics and attributes; at most ${limits.keysPerEvent} are allowed`,
    );
  }
}

function checkIdLength(
  cursor: Cursor,
  wanted: number,
  why: number,
  field: string,
  verdict: EventVerdict,
): void {
  const length = cursor.fieldEnd - cursor.fieldStart;
  if (length !== 0 && length !== wanted) {
    verdict.reject(why, `${field} has ${length} bytes; ${wanted} or none are allowed`);
  }
}

/** One map entry: field 1 is the key; field 2 is the value, a double or (`textual`) a string. */
function scanEntry(cursor: Cursor, textual: boolean, limits: MessageLimits, verdict: EventVerdict): void {
  const { buffer } = cursor;
  cursor.bytes();
  if (cursor.problem !== '') return;
  const outerEnd = cursor.end;
  const entryEnd = cursor.fieldEnd;
  cursor.position = cursor.fieldStart;
  cursor.end = entryEnd;
  let keyBytes = 0;
  while (cursor.position < entryEnd) {
    const tag = cursor.tag();
    if (tag === 0x0a) {
      cursor.bytes();
      keyBytes = cursor.fieldEnd - cursor.fieldStart;
      if (!isValidUtf8(buffer, cursor.fieldStart, cursor.fieldEnd)) {
        verdict.reject(reason.invalid_utf8, 'a key is not valid UTF-8');
      }
    } else if (tag === 0x12 && textual) {
      cursor.bytes();
      if (!isValidUtf8(buffer, cursor.fieldStart, cursor.fieldEnd)) {
        verdict.reject(reason.invalid_utf8, 'the value of an attribute is not valid UTF-8');
      }
    } else {
      cursor.skip(tag);
    }
  }
  cursor.end = outerEnd;
  cursor.position = cursor.problem === '' ? entryEnd : outerEnd;
  if (keyBytes === 0) verdict.reject(reason.key_empty, 'a metric or attribute has an empty key');
  else if (keyBytes > limits.keyBytes) {
    verdict.reject(
      reason.key_too_long,
      `a key has ${keyBytes} bytes; at most ${limits.keyBytes} are allowed`,
    );
  }
}
