/**
 * Checks the events of one `EventBlock`, whose arrays of fixed width have the right lengths already
 * (event-block.ts).
 *
 * Invariants:
 * 1. A text that is cut short, names that come twice, and differences that are not as many as the events make the
 *    block invalid; a limit that is broken costs the events that break it. That offsets ascend is looked at once
 *    all of the request is known (number-cover.ts).
 * 2. A good event costs a look at its time, its offset and the lengths of its texts, and allocates nothing.
 */
import { isAscii } from 'node:buffer';
import { areDeltas, mostDeltaBytes, walkDeltas } from '../deltas.js';
import { type BlockView, skipTexts } from '../event-block.js';
import type { MessageLimits } from '../limits.js';
import { isValidUtf8 } from '../utf8.js';
import { reason } from './scan-event.js';

/** An event of a block that breaks a limit. */
export interface RejectedRow {
  /** Its sequence_offset. */
  readonly offset: number;
  readonly reason: number;
  readonly detail: string;
}

/** Up to here names are compared with each other one by one. */
const fewNames = 16;

/**
 * Checks a block. Adds to `rejected`, by ascending row, until there are more than a request may have; returns
 * what makes the block invalid, or nothing.
 */
export function scanBlock(block: BlockView, limits: MessageLimits, rejected: RejectedRow[]): string {
  const { bytes, count } = block;
  const duplicate = findDuplicate(bytes, block.metricNames) ?? findDuplicate(bytes, block.attributeNames);
  if (duplicate !== undefined) return `a block has the name "${duplicate}" twice`;
  const bodies = scanTexts(bytes, block.bodyStart, block.bodyEnd, block.hasBodies ? count : 0);
  if (bodies.problem !== '') return `body of a block ${bodies.problem}`;
  const attributeTexts = block.attributeCount * (block.hasSharedAttributes ? 1 : count);
  const attributes = scanTexts(bytes, block.attributesStart, block.attributesEnd, attributeTexts);
  if (attributes.problem !== '') return `attribute of a block ${attributes.problem}`;

  const times = scanTimes(block);
  if (times.problem !== '') return times.problem;
  const stepProblem = scanSteps(block);
  if (stepProblem !== '') return stepProblem;

  const whole = findShapeProblem(block, limits);
  if (whole !== undefined) {
    for (let row = 0; row < count && rejected.length <= limits.rejectionsPerRequest; row++) {
      rejected.push({ offset: block.offsetAt(row), ...whole });
    }
    return '';
  }
  const hasHighSeverity = scanSeverities(block);
  const shape = shapeBytes(block);
  const isLarge =
    shape + (block.bodyEnd - block.bodyStart) + (block.attributesEnd - block.attributesStart) >
    limits.eventBytes;
  if (!times.hasLate && !hasHighSeverity && !isLarge && bodies.isUtf8 && attributes.isUtf8) return '';
  for (let row = 0; row < count && rejected.length <= limits.rejectionsPerRequest; row++) {
    const problem = findRowProblem(block, row, limits, shape);
    if (problem !== undefined) rejected.push({ offset: block.offsetAt(row), ...problem });
  }
  return '';
}

interface Problem {
  readonly reason: number;
  readonly detail: string;
}

/** What costs every event of the block. */
function findShapeProblem(block: BlockView, limits: MessageLimits): Problem | undefined {
  const { bytes, nameStart, nameEnd } = block;
  if (nameEnd - nameStart > limits.nameBytes) {
    return {
      reason: reason.name_too_long,
      detail: `the name has ${nameEnd - nameStart} bytes; at most ${limits.nameBytes} are allowed`,
    };
  }
  if (!isValidUtf8(bytes, nameStart, nameEnd)) {
    return { reason: reason.invalid_utf8, detail: 'the name is not valid UTF-8' };
  }
  for (const names of [block.metricNames, block.attributeNames]) {
    for (let at = 0; at < names.length; at += 2) {
      const start = names[at] as number;
      const end = names[at + 1] as number;
      if (end === start) {
        return { reason: reason.key_empty, detail: 'a metric or attribute has an empty key' };
      }
      if (end - start > limits.keyBytes) {
        return {
          reason: reason.key_too_long,
          detail: `a key has ${end - start} bytes; at most ${limits.keyBytes} are allowed`,
        };
      }
      if (!isValidUtf8(bytes, start, end)) {
        return { reason: reason.invalid_utf8, detail: 'a key is not valid UTF-8' };
      }
    }
  }
  const keys = block.metricCount + block.attributeCount;
  if (keys <= limits.keysPerEvent) return undefined;
  return {
    reason: reason.too_many_keys,
    detail: `the event has ${keys} metrics and attributes; at most ${limits.keysPerEvent} are allowed`,
  };
}

function findRowProblem(
  block: BlockView,
  row: number,
  limits: MessageLimits,
  shape: number,
): Problem | undefined {
  const { bytes } = block;
  block.times.copy(row, row + 1, time, 0);
  if ((time[1] as number) >= 0x8000_0000) {
    return {
      reason: reason.time_out_of_range,
      detail: 'the time is 2^63 nanoseconds or more; it must be less',
    };
  }
  const severity = block.severityAt(row);
  if (severity > 24) {
    return {
      reason: reason.severity_out_of_range,
      detail: `severity_number is ${severity}; 1 to 24 are allowed, absent means 9`,
    };
  }
  const body = block.hasBodies ? block.bodyPosition(row) : 0;
  const bodyEnd = block.hasBodies ? block.bodyPosition(row + 1) : 0;
  const isShared = block.hasSharedAttributes || block.attributeCount === 0;
  const from = isShared ? block.attributesStart : block.attributesPosition(row);
  const to = isShared ? block.attributesEnd : block.attributesPosition(row + 1);
  const size = shape + bodyEnd - body + to - from;
  if (size > limits.eventBytes) {
    return {
      reason: reason.event_too_large,
      detail: `the event has ${size} bytes; at most ${limits.eventBytes} are allowed`,
    };
  }
  if (!areTextsUtf8(bytes, body, bodyEnd)) {
    return { reason: reason.invalid_utf8, detail: 'the body is not valid UTF-8' };
  }
  if (!areTextsUtf8(bytes, from, to)) {
    return { reason: reason.invalid_utf8, detail: 'the value of an attribute is not valid UTF-8' };
  }
  return undefined;
}

/** What every event of the block has: its name, its keys, its metrics. */
function shapeBytes(block: BlockView): number {
  let size = block.nameEnd - block.nameStart + block.metricCount * 8;
  for (const names of [block.metricNames, block.attributeNames]) {
    for (let at = 0; at < names.length; at += 2) size += (names[at + 1] as number) - (names[at] as number);
  }
  return size;
}

/** Differences of so many bytes are below 2^34, so that so many of them sum up to less than 2^54. */
const smallBytes = 5;
const fewRows = 2 ** 20;

/** Whether there are as many times as events, and whether one is 2^63 or more. */
function scanTimes(block: BlockView): { problem: string; hasLate: boolean } {
  const { bytes, timesStart: start, timesEnd: end, count } = block;
  // As events that happened one after another have them: the first between 2^54 and 2^62, the others near it.
  block.times.copy(0, 1, time, 0);
  const high = time[1] as number;
  const first = behindFirst(bytes, start, end);
  if (
    count <= fewRows &&
    high >= 0x40_0000 &&
    high < 0x4000_0000 &&
    areDeltas(bytes, first, end, count - 1, smallBytes)
  ) {
    return { problem: '', hasLate: false };
  }
  let highs = 0;
  const isWhole = walkDeltas({ bytes, start, end, count, isSigned: true }, (halves, rows) => {
    for (let at = 1; at < rows * 2; at += 2) highs |= halves[at] as number;
    return true;
  });
  return { problem: isWhole ? '' : wrongCount('time_delta', count), hasLate: highs < 0 };
}

/** Behind the first number of an array. */
function behindFirst(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] as number) >= 0x80) at++;
  return at + 1;
}

function scanSteps({ bytes, stepsStart: start, stepsEnd: end, count, hasSteps }: BlockView): string {
  if (!hasSteps || areDeltas(bytes, start, end, count, mostDeltaBytes)) return '';
  return wrongCount('step_delta', count);
}

/** What a block is told whose differences are not as many as its events. */
export function wrongCount(field: string, count: number): string {
  return `${field} of a block does not hold just ${count} numbers`;
}

const time = new Uint32Array(2);

function scanSeverities({ bytes, severities, severityBytes }: BlockView): boolean {
  let most = 0;
  for (let at = severities; at < severities + severityBytes; at++) {
    if ((bytes[at] as number) > most) most = bytes[at] as number;
  }
  return most > 24;
}

/** Whether there are just so many texts, and whether all are valid UTF-8. */
function scanTexts(
  bytes: Buffer,
  start: number,
  end: number,
  count: number,
): { problem: string; isUtf8: boolean } {
  if (start === end && count === 0) return { problem: '', isUtf8: true };
  const found = skipTexts(bytes, start, count);
  if (found !== end) return { problem: `does not hold just ${count} texts`, isUtf8: false };
  // A length below 128 is an ASCII byte too, so one call looks at all of them.
  const isUtf8 = isAscii(bytes.subarray(start, end)) || areTextsUtf8(bytes, start, end);
  return { problem: '', isUtf8 };
}

/** Whether each of the texts in a row, which are whole, is valid UTF-8. */
function areTextsUtf8(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const next = skipTexts(bytes, at, 1);
    while ((bytes[at] as number) >= 0x80) at++;
    if (!isValidUtf8(bytes, at + 1, next)) return false;
    at = next;
  }
  return true;
}

/** A name that stands twice in the list of bounds, in words. */
function findDuplicate(bytes: Buffer, names: readonly number[]): string | undefined {
  if (names.length > fewNames * 2) {
    const seen = new Set<string>();
    for (let at = 0; at < names.length; at += 2) {
      const name = bytes.toString('latin1', names[at], names[at + 1]);
      if (seen.has(name)) return bytes.toString('utf8', names[at], names[at + 1]);
      seen.add(name);
    }
    return undefined;
  }
  for (let at = 2; at < names.length; at += 2) {
    for (let before = 0; before < at; before += 2) {
      if (areEqual(bytes, names, at, before)) return bytes.toString('utf8', names[at], names[at + 1]);
    }
  }
  return undefined;
}

function areEqual(bytes: Buffer, names: readonly number[], a: number, b: number): boolean {
  const left = names[a] as number;
  const right = names[b] as number;
  const size = (names[a + 1] as number) - left;
  if ((names[b + 1] as number) - right !== size) return false;
  for (let index = 0; index < size; index++) if (bytes[left + index] !== bytes[right + index]) return false;
  return true;
}
