/** Reading the losses of a LogRequest, for the door and for the ledger alike. */
import type { MessageLimits } from './limits.js';
import { Cursor } from './protobuf.js';
import type { Loss } from './record.js';
import { isValidUtf8 } from './utf8.js';

/** Reads the losses of a request that was scanned before. */
export function readLosses(bytes: Buffer, limits: MessageLimits): Loss[] {
  const losses: Loss[] = [];
  const cursor = new Cursor();
  cursor.reset(bytes, 0, bytes.length);
  while (cursor.position < bytes.length) {
    const tag = cursor.tag();
    if (tag === 0x2a) {
      cursor.bytes();
      readLoss(cursor, limits, losses);
    } else cursor.skip(tag);
  }
  return losses;
}

/** Reads the loss between the cursor's field bounds into `losses`. Returns what is wrong with it, or nothing. */
export function readLoss(cursor: Cursor, limits: MessageLimits, losses: Loss[]): string {
  const bytes = cursor.buffer;
  const outerEnd = cursor.end;
  const lossEnd = cursor.fieldEnd;
  cursor.position = cursor.fieldStart;
  cursor.end = lossEnd;
  let firstSequence = 0;
  let count = 0;
  let reason = 0;
  let detail = '';
  let timeUnixNano = '';
  let problem = '';
  while (cursor.position < lossEnd) {
    const tag = cursor.tag();
    if (tag === 0x08) firstSequence = cursor.varint();
    else if (tag === 0x10) count = cursor.varint();
    else if (tag === 0x18) reason = cursor.varint();
    else if (tag === 0x22) {
      cursor.bytes();
      if (!isValidUtf8(bytes, cursor.fieldStart, cursor.fieldEnd))
        problem = "a loss's detail is not valid UTF-8";
      const length = Math.min(cursor.fieldEnd - cursor.fieldStart, limits.producerStringBytes);
      detail = bytes.toString('utf8', cursor.fieldStart, cursor.fieldStart + length);
    } else if (tag === 0x29) {
      cursor.fixed64();
      // DateTime64(9) ends at 2^63; a time beyond it is as good as none.
      if (cursor.high < 0x80000000) {
        timeUnixNano = ((BigInt(cursor.high) << 32n) | BigInt(cursor.low)).toString();
      }
    } else cursor.skip(tag);
  }
  if (cursor.problem !== '') {
    return `the message is not valid Protobuf: ${cursor.problem}`;
  }
  cursor.end = outerEnd;
  cursor.position = lossEnd;
  if (problem !== '') return problem;
  if (count < 1) return 'a loss has no count; it must be at least 1';
  if (!Number.isSafeInteger(firstSequence + count)) {
    return `a loss reaches sequence ${firstSequence + count}; at most 2^53 - 1 is allowed`;
  }
  losses.push({ firstSequence, count, reason, detail, timeUnixNano });
  return '';
}
