/**
 * Where the arrays of one `EventBlock` lie in a buffer. The door checks a block with it, and the encoder
 * copies from it; nothing is made for an event.
 *
 * Invariants:
 * 1. What `readBlock` accepts has arrays of possible lengths within the block's bounds. That differences are as
 *    many as the events, that offsets ascend and that texts are whole is the door's to check
 *    (validate/scan-block.ts), once.
 * 2. Row `r` of an array of fixed width is at its start + `r` × its width; numbers that travel as differences
 *    (deltas.ts) and texts are found by walking.
 */
import { DeltaRows, mostDeltaBytes } from './deltas.js';
import { innerLimits } from './limits.js';
import { Cursor } from './protobuf.js';

const metricBytes = 8;
export const traceIdBytes = 16;
export const spanIdBytes = 8;

/** Of an array that the block does not have. */
export const absent = -1;

/** Memory that a block takes while it is encoded: a view, and the bounds of each of its names. */
const viewBytes = 512;
const nameBoundsBytes = 16;

const halves = new Uint32Array(2);

export class BlockView {
  readonly bytes: Buffer;
  /** Over the same bytes: its positions are those of `bytes`. */
  readonly view: DataView;
  count = 0;
  nameStart = 0;
  nameEnd = 0;
  /** Bounds of the differences. */
  offsetsStart = absent;
  offsetsEnd = absent;
  timesStart = absent;
  timesEnd = absent;
  stepsStart = absent;
  stepsEnd = absent;
  /** Positions of the other arrays' first bytes, or `absent`. */
  severities = absent;
  /** 0: all 9; 1: all that; otherwise one an event. */
  severityBytes = 0;
  metrics = absent;
  traceIds = absent;
  spanIds = absent;
  /** Bounds of the texts; empty if there are none. */
  bodyStart = 0;
  bodyEnd = 0;
  attributesStart = 0;
  attributesEnd = 0;
  /** Start and end of each name, in turn. */
  readonly metricNames: number[] = [];
  readonly attributeNames: number[] = [];
  /** Whether every event has the same attributes, which are there once. */
  hasSharedAttributes = false;
  /** The numbers by row, in halves; there are none of steps unless `hasSteps`. */
  readonly offsets = new DeltaRows();
  readonly times = new DeltaRows();
  readonly steps = new DeltaRows();
  readonly #bodyRows = new TextRows();
  readonly #attributeRows = new TextRows();

  constructor(bytes: Buffer, view: DataView) {
    this.bytes = bytes;
    this.view = view;
  }

  get metricCount(): number {
    return this.metricNames.length / 2;
  }

  get attributeCount(): number {
    return this.attributeNames.length / 2;
  }

  get hasBodies(): boolean {
    return this.bodyEnd > this.bodyStart;
  }

  get hasSteps(): boolean {
    return this.stepsEnd > this.stepsStart;
  }

  offsetAt(row: number): number {
    this.offsets.copy(row, row + 1, halves, 0);
    return halves[0] as number;
  }

  /** 0 stands for 9, as an absent one does. */
  severityAt(row: number): number {
    if (this.severityBytes === 0) return 9;
    return this.bytes[this.severities + (this.severityBytes === 1 ? 0 : row)] || 9;
  }

  metricsPosition(row: number): number {
    return this.metrics + row * this.metricCount * metricBytes;
  }

  /** Where the body of a row begins with its length; of row `count`, the end. */
  bodyPosition(row: number): number {
    if (row === this.count) return this.bodyEnd;
    return this.#bodyRows.position(this, this.bodyStart, row, 1);
  }

  /** Where the attributes of a row begin; of row `count`, the end. Not for shared ones. */
  attributesPosition(row: number): number {
    if (row === this.count) return this.attributesEnd;
    return this.#attributeRows.position(this, this.attributesStart, row, this.attributeCount);
  }

  /** Bytes that the block takes beyond its own once each event has its attributes. */
  get expansionBytes(): number {
    const names = (this.metricNames.length + this.attributeNames.length) / 2;
    const shared = this.hasSharedAttributes
      ? (this.count - 1) * (this.attributesEnd - this.attributesStart)
      : 0;
    return viewBytes + names * nameBoundsBytes + shared;
  }

  /** Forgets what was read, for another block of the same bytes. */
  clear(): void {
    this.count = 0;
    this.nameStart = 0;
    this.nameEnd = 0;
    this.offsetsStart = absent;
    this.offsetsEnd = absent;
    this.timesStart = absent;
    this.timesEnd = absent;
    this.stepsStart = absent;
    this.stepsEnd = absent;
    this.severities = absent;
    this.severityBytes = 0;
    this.metrics = absent;
    this.traceIds = absent;
    this.spanIds = absent;
    this.bodyStart = 0;
    this.bodyEnd = 0;
    this.attributesStart = 0;
    this.attributesEnd = 0;
    this.metricNames.length = 0;
    this.attributeNames.length = 0;
    this.hasSharedAttributes = false;
    this.#bodyRows.clear();
    this.#attributeRows.clear();
  }
}

/** Finds the texts of a row. Rows that ascend cost a walk along the texts, whatever their order costs one more. */
class TextRows {
  #row = 0;
  #at = 0;
  /** By row, from the first step back on. */
  #starts: Uint32Array | undefined;

  clear(): void {
    this.#row = 0;
    this.#at = 0;
    this.#starts = undefined;
  }

  position({ bytes, count }: BlockView, start: number, row: number, textsInRow: number): number {
    if (this.#starts !== undefined) return this.#starts[row] as number;
    if (row < this.#row) {
      this.#starts = rowStarts(bytes, start, count, textsInRow);
      return this.#starts[row] as number;
    }
    if (this.#at === 0) this.#at = start;
    this.#at = skipTexts(bytes, this.#at, (row - this.#row) * textsInRow);
    this.#row = row;
    return this.#at;
  }
}

function rowStarts(bytes: Buffer, start: number, rows: number, textsInRow: number): Uint32Array {
  const starts = new Uint32Array(rows);
  let at = start;
  for (let row = 0; row < rows; row++) {
    starts[row] = at;
    at = skipTexts(bytes, at, textsInRow);
  }
  return starts;
}

const cursor = new Cursor();

const { namesPerBlock } = innerLimits;

/** Reads the block that lies between `start` and `end`. Returns what is wrong with it, or nothing. */
export function readBlock(block: BlockView, start: number, end: number): string {
  const { bytes, metricNames, attributeNames } = block;
  let metricsEnd = absent;
  let traceIdsEnd = absent;
  let spanIdsEnd = absent;
  let twice = '';
  cursor.reset(bytes, start, end);
  while (cursor.position < end) {
    const tag = cursor.tag();
    if (tag === 0x10) {
      block.count = cursor.varint();
      continue;
    }
    if ((tag & 7) !== 2) {
      if (tag === 0x70 || tag === 0x78 || tag === 0x80 || tag === 0x49) {
        return `field ${tag >>> 3} of a block is not packed`;
      }
      cursor.skip(tag);
      continue;
    }
    cursor.bytes();
    const { fieldStart, fieldEnd } = cursor;
    switch (tag) {
      case 0x0a:
        block.nameStart = fieldStart;
        block.nameEnd = fieldEnd;
        break;
      case 0x32:
        block.severities = fieldStart;
        block.severityBytes = fieldEnd - fieldStart;
        break;
      case 0x3a:
        block.bodyStart = fieldStart;
        block.bodyEnd = fieldEnd;
        break;
      case 0x42:
        metricNames.push(fieldStart, fieldEnd);
        if (metricNames.length > namesPerBlock * 2) return tooManyNames;
        break;
      case 0x4a:
        if (metricsEnd !== absent) twice = 'metric';
        block.metrics = fieldStart;
        metricsEnd = fieldEnd;
        break;
      case 0x52:
        attributeNames.push(fieldStart, fieldEnd);
        if (attributeNames.length > namesPerBlock * 2) return tooManyNames;
        break;
      case 0x5a:
        block.attributesStart = fieldStart;
        block.attributesEnd = fieldEnd;
        break;
      case 0x62:
        block.traceIds = fieldStart;
        traceIdsEnd = fieldEnd;
        break;
      case 0x6a:
        block.spanIds = fieldStart;
        spanIdsEnd = fieldEnd;
        break;
      case 0x72:
        if (block.offsetsEnd !== absent) twice = 'sequence_delta';
        block.offsetsStart = fieldStart;
        block.offsetsEnd = fieldEnd;
        break;
      case 0x7a:
        if (block.timesEnd !== absent) twice = 'time_delta';
        block.timesStart = fieldStart;
        block.timesEnd = fieldEnd;
        break;
      case 0x82:
        if (block.stepsEnd !== absent) twice = 'step_delta';
        block.stepsStart = fieldStart;
        block.stepsEnd = fieldEnd;
        break;
      default:
    }
  }
  if (cursor.problem !== '') return `a block is not valid Protobuf: ${cursor.problem}`;
  if (twice !== '') return `${twice} of a block comes in more than one piece`;
  const { count, metricCount, attributeCount } = block;
  if (count < 1) return 'a block has no count; it must be at least 1';
  const lengths: [string, number, number, number, boolean][] = [
    ['metric', block.metrics, metricsEnd, metricCount * metricBytes, metricCount > 0],
    ['trace_id', block.traceIds, traceIdsEnd, traceIdBytes, false],
    ['span_id', block.spanIds, spanIdsEnd, spanIdBytes, false],
  ];
  for (const [name, from, to, width, isRequired] of lengths) {
    if (to === from && !isRequired) continue;
    if (to - from !== count * width) {
      return `${name} of a block has ${to - from} bytes; its ${count} events take ${count * width}`;
    }
  }
  const differences: [string, number, boolean][] = [
    ['sequence_delta', block.offsetsEnd - block.offsetsStart, true],
    ['time_delta', block.timesEnd - block.timesStart, true],
    ['step_delta', block.stepsEnd - block.stepsStart, false],
  ];
  for (const [name, length, isRequired] of differences) {
    if (length === 0 && !isRequired) continue;
    if (length < count || length > count * mostDeltaBytes) {
      return `${name} of a block has ${length} bytes; its ${count} events take ${count} to ${count * mostDeltaBytes}`;
    }
  }
  block.offsets.open(bytes, block.offsetsStart, block.offsetsEnd, count, false);
  block.times.open(bytes, block.timesStart, block.timesEnd, count, true);
  if (block.hasSteps) block.steps.open(bytes, block.stepsStart, block.stepsEnd, count, true);
  // What is there and empty is absent.
  if (traceIdsEnd === block.traceIds) block.traceIds = absent;
  if (spanIdsEnd === block.spanIds) block.spanIds = absent;
  if (block.severityBytes > 1 && block.severityBytes !== count) {
    return `severity_number of a block has ${block.severityBytes} bytes; 0, 1 or its count of events, ${count}, are allowed`;
  }
  if (attributeCount > 0) {
    const rowEnd = skipTexts(bytes, block.attributesStart, attributeCount);
    block.hasSharedAttributes = rowEnd === block.attributesEnd;
    if (rowEnd > block.attributesEnd) return 'attribute of a block has fewer texts than attribute names';
  } else if (block.attributesEnd > block.attributesStart) {
    return 'a block has attributes without names';
  }
  return '';
}

const tooManyNames = `a block has more than ${namesPerBlock} names of metrics or of attributes`;

/** Behind `texts` strings that each begin with their length; beyond the buffer, if they are not all in it. */
export function skipTexts(bytes: Buffer, position: number, texts: number): number {
  let at = position;
  for (let text = 0; text < texts; text++) {
    if (at >= bytes.length) return bytes.length + 1;
    const length = bytes[at++] as number;
    at += length < 0x80 ? length : longLength(bytes, at, length);
  }
  return at;
}

/** The rest of a length whose first byte, at `position` − 1, says that it goes on: its bytes and its value. */
function longLength(bytes: Buffer, position: number, first: number): number {
  let length = first & 0x7f;
  let at = position;
  for (let scale = 128; at < bytes.length && scale < 2 ** 35; scale *= 128) {
    const byte = bytes[at++] as number;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) return at - position + length;
  }
  return bytes.length + 1;
}
