/**
 * Second pass over a segment: each event's fields into the columns of the table `events`, in the
 * order in which the rows leave. Rows of a block are copied array by array. The arrays are kept from
 * segment to segment; nothing is allocated for an event.
 *
 * The door (validate/) has checked the bytes; fields are read by the same rules as there.
 */
import { absent, type BlockView, spanIdBytes, traceIdBytes } from '../event-block.js';
import { Cursor } from '../protobuf.js';
import { ByteColumn } from './byte-column.js';
import { defaultName } from './default-name.js';
import { Dictionary } from './dictionary.js';
import { IndexColumn } from './index-column.js';
import { type MapColumn, MetricColumn, TextMapColumn } from './map-columns.js';

export class EventColumns {
  rows = 0;
  /** Little-endian halves of 64-bit values: low, high, low, high. */
  time = new Uint32Array(0);
  step = new Uint32Array(0);
  stepIsNull = new Uint8Array(0);
  sequence = new Uint32Array(0);
  severity = new Uint8Array(0);
  readonly nameIndexes = new IndexColumn();
  readonly names = new Dictionary();
  readonly bodies = new ByteColumn(1 << 16);
  readonly traceIds = new ByteColumn(1 << 16);
  readonly spanIds = new ByteColumn(1 << 16);
  readonly metrics = new MetricColumn();
  readonly attributes = new TextMapColumn();
  readonly #cursor = new Cursor();
  #nameId = 0;

  reset(rows: number): void {
    this.rows = 0;
    this.names.clear();
    this.nameIndexes.clear();
    this.nameIndexes.reserve(rows);
    this.#nameId = 0;
    for (const column of [this.bodies, this.traceIds, this.spanIds]) column.clear();
    this.metrics.reset(rows);
    this.attributes.reset(rows);
    if (rows <= this.severity.length) return;
    this.time = new Uint32Array(rows * 2);
    this.step = new Uint32Array(rows * 2);
    this.stepIsNull = new Uint8Array(rows);
    this.sequence = new Uint32Array(rows * 2);
    this.severity = new Uint8Array(rows);
  }

  /** Starts reading a segment; `add` takes bounds within it. */
  open(bytes: Buffer): void {
    this.#cursor.reset(bytes, 0, bytes.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.metrics.open(bytes, view);
    this.attributes.open(bytes);
  }

  /** Lets go of what belongs to the segment that was read. */
  close(): void {
    this.metrics.keys.close();
    this.attributes.keys.close();
  }

  /** Adds the event between `start` and `end` as the next row. */
  add(start: number, end: number, sequence: number, receivedLow: number, receivedHigh: number): void {
    const cursor = this.#cursor;
    const { buffer } = cursor;
    const row = this.rows++;
    cursor.position = start;
    cursor.end = end;
    let timeLow = 0;
    let timeHigh = 0;
    let severity = 0;
    let stepLow = 0;
    let stepHigh = 0;
    let stepIsNull = 1;
    let nameStart = 0;
    let nameEnd = 0;
    let bodyStart = 0;
    let bodyEnd = 0;
    let traceStart = 0;
    let traceEnd = 0;
    let spanStart = 0;
    let spanEnd = 0;
    this.metrics.startRow(row);
    this.attributes.startRow(row);
    while (cursor.position < end) {
      const tag = cursor.tag();
      switch (tag) {
        case 0x09:
          cursor.fixed64();
          timeLow = cursor.low;
          timeHigh = cursor.high;
          break;
        case 0x12:
          cursor.bytes();
          nameStart = cursor.fieldStart;
          nameEnd = cursor.fieldEnd;
          break;
        case 0x18:
          severity = cursor.varint();
          break;
        case 0x22:
          cursor.bytes();
          bodyStart = cursor.fieldStart;
          bodyEnd = cursor.fieldEnd;
          break;
        case 0x28: {
          cursor.varint64();
          // Zigzag, in halves.
          const sign = -(cursor.low & 1);
          stepLow = ((cursor.low >>> 1) | (cursor.high << 31)) ^ sign;
          stepHigh = (cursor.high >>> 1) ^ sign;
          stepIsNull = 0;
          break;
        }
        case 0x32:
          addEntry(cursor, this.metrics);
          break;
        case 0x3a:
          addEntry(cursor, this.attributes);
          break;
        case 0x42:
          cursor.bytes();
          traceStart = cursor.fieldStart;
          traceEnd = cursor.fieldEnd;
          break;
        case 0x4a:
          cursor.bytes();
          spanStart = cursor.fieldStart;
          spanEnd = cursor.fieldEnd;
          break;
        default:
          cursor.skip(tag);
      }
    }
    this.metrics.endRow(row);
    this.attributes.endRow(row);

    const pair = row * 2;
    const untimed = timeLow === 0 && timeHigh === 0;
    this.time[pair] = untimed ? receivedLow : timeLow;
    this.time[pair + 1] = untimed ? receivedHigh : timeHigh;
    this.step[pair] = stepLow;
    this.step[pair + 1] = stepHigh;
    this.stepIsNull[row] = stepIsNull;
    this.sequence[pair] = sequence;
    this.sequence[pair + 1] = sequence / 4294967296;
    this.severity[row] = severity === 0 ? 9 : severity;
    this.#addName(buffer, nameStart, nameEnd, 1);
    if (bodyStart === bodyEnd) this.bodies.appendEmptyString();
    else this.bodies.appendString(buffer, bodyStart, bodyEnd);
    if (traceStart === traceEnd) this.traceIds.appendEmptyString();
    else this.traceIds.appendString(buffer, traceStart, traceEnd);
    if (spanStart === spanEnd) this.spanIds.appendEmptyString();
    else this.spanIds.appendString(buffer, spanStart, spanEnd);
  }

  /**
   * Adds the rows from..to of a block.
   * @param firstSequence what its offsets are added to
   */
  addBlock(
    block: BlockView,
    from: number,
    to: number,
    firstSequence: number,
    receivedLow: number,
    receivedHigh: number,
  ): void {
    const { bytes } = block;
    const row = this.rows;
    const rows = to - from;
    this.rows += rows;
    this.#addName(bytes, block.nameStart, block.nameEnd, rows);
    block.times.copy(from, to, this.time, row * 2);
    if (block.hasSteps) {
      block.steps.copy(from, to, this.step, row * 2);
      this.stepIsNull.fill(0, row, this.rows);
    } else {
      this.step.fill(0, row * 2, this.rows * 2);
      this.stepIsNull.fill(1, row, this.rows);
    }
    this.#replaceZeroTimes(row, receivedLow, receivedHigh);
    this.#addSequences(block, from, to, firstSequence, row);
    if (rows === 1) {
      this.severity[row] = block.severityAt(from);
    } else if (block.severityBytes > 1) {
      for (let at = 0; at < rows; at++) this.severity[row + at] = block.severityAt(from + at);
    } else {
      this.severity.fill(block.severityAt(from), row, this.rows);
    }
    if (block.hasBodies) this.bodies.append(bytes, block.bodyPosition(from), block.bodyPosition(to));
    else this.bodies.appendEmptyStrings(rows);
    this.metrics.addRows(block, from, to, row);
    this.attributes.addRows(block, from, to, row);
    addIds(this.traceIds, bytes, block.traceIds, traceIdBytes, from, to);
    addIds(this.spanIds, bytes, block.spanIds, spanIdBytes, from, to);
  }

  #replaceZeroTimes(row: number, receivedLow: number, receivedHigh: number): void {
    const { time } = this;
    for (let pair = row * 2; pair < this.rows * 2; pair += 2) {
      if (time[pair] !== 0 || time[pair + 1] !== 0) continue;
      time[pair] = receivedLow;
      time[pair + 1] = receivedHigh;
    }
  }

  #addSequences(block: BlockView, from: number, to: number, firstSequence: number, row: number): void {
    const { sequence } = this;
    block.offsets.copy(from, to, sequence, row * 2);
    for (let pair = row * 2; pair < this.rows * 2; pair += 2) {
      const number = firstSequence + (sequence[pair] as number);
      sequence[pair] = number;
      sequence[pair + 1] = number / 4294967296;
    }
  }

  #addName(buffer: Buffer, start: number, end: number, rows: number): void {
    if (start === end) this.#nameId = this.names.idOf(defaultName, 0, defaultName.length);
    else if (this.names.count === 0 || !this.names.equals(this.#nameId, buffer, start, end)) {
      this.#nameId = this.names.idOf(buffer, start, end);
    }
    if (rows === 1) this.nameIndexes.push(this.#nameId);
    else this.nameIndexes.pushTimes(this.#nameId, rows);
  }
}

function addIds(
  column: ByteColumn,
  bytes: Buffer,
  ids: number,
  size: number,
  from: number,
  to: number,
): void {
  if (ids === absent) {
    column.appendEmptyStrings(to - from);
    return;
  }
  for (let row = from; row < to; row++) column.appendString(bytes, ids + row * size, ids + (row + 1) * size);
}

/** Reads one map entry and adds it: field 1 is the key, field 2 the value. */
function addEntry(cursor: Cursor, column: MapColumn): void {
  cursor.bytes();
  const outerEnd = cursor.end;
  const entryEnd = cursor.fieldEnd;
  cursor.position = cursor.fieldStart;
  cursor.end = entryEnd;
  let keyStart = 0;
  let keyEnd = 0;
  let valueStart = -1;
  let valueEnd = -1;
  while (cursor.position < entryEnd) {
    const tag = cursor.tag();
    if (tag === 0x0a) {
      cursor.bytes();
      keyStart = cursor.fieldStart;
      keyEnd = cursor.fieldEnd;
    } else if (tag === column.valueTag) {
      if (tag === 0x12) {
        cursor.bytes();
        valueStart = cursor.fieldStart;
        valueEnd = cursor.fieldEnd;
      } else {
        valueStart = cursor.position;
        cursor.skip(tag);
        valueEnd = cursor.position;
      }
    } else cursor.skip(tag);
  }
  cursor.end = outerEnd;
  cursor.position = entryEnd;
  column.add(keyStart, keyEnd, valueStart, valueEnd);
}
