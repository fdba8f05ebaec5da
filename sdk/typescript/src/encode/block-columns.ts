import { AttributeColumn } from './attribute-column.js';
import { type Block, blockFields } from './block.js';
import { DeltaColumn } from './delta-column.js';
import type { EncodedKey } from './encoded-texts.js';
import type { EventReader } from './event-reader.js';
import { blockHeadBytes, eventRowBytes } from './event-size.js';
import { bytesField, varintSize } from './protobuf.js';
import { parts, type Shape } from './shape.js';
import { textSize } from './text.js';
import { TextColumn } from './text-column.js';

/**
 * The events of one shape in the open draft, as columns that are used again from request to request.
 *
 * Invariants:
 * 1. The first `rows` of every column are whole events; an event that was measured and not kept is in none.
 * 2. While all events have had the same severity, only that is kept; likewise their attributes.
 * 3. Numbers that are near each other are kept as they travel, as differences; other arrays are copied to the wire as
 *    they are, so the machine must be little-endian (see `make-encoder.ts`).
 */

/** Columns begin with about so many bytes each. */
const firstBytes = 1024;

export class BlockColumns {
  readonly shape: Shape;
  /** Whose they are. */
  readonly owner: object;
  rows = 0;
  /** What a block of this shape takes without its events. */
  readonly headBytes: number;
  /** What an event takes without its texts. */
  readonly rowBytes: number;
  /** Bytes of the name, the keys and the metrics, which count towards the limit of an event. */
  readonly limitedBytes: number;

  readonly #name: Uint8Array;
  readonly #metricNames: Uint8Array;
  readonly #attributeNames: Uint8Array;
  readonly #metricCount: number;
  readonly #attributeCount: number;
  readonly #parts: number;

  /** What an event takes in the arrays of fixed width. */
  readonly #fixedBytes: number;

  #capacity = 0;
  readonly #offsets = new DeltaColumn();
  readonly #times = new DeltaColumn();
  readonly #steps = new DeltaColumn();
  #severities = new Uint8Array(0);
  #metrics = new Float64Array(0);
  #traceIds = Buffer.alloc(0);
  #spanIds = Buffer.alloc(0);
  readonly #bodies = new TextColumn();
  readonly #attributes: AttributeColumn;

  /** Of all rows, unless mixed. */
  #severity = 0;
  #isMixed = false;
  #bodySize = 0;

  constructor(shape: Shape, owner: object) {
    const { name, metrics, attributes } = shape;
    this.shape = shape;
    this.owner = owner;
    this.#name = bytesField(blockFields.name, name.bytes);
    this.#metricNames = names(blockFields.metricName, metrics);
    this.#attributeNames = names(blockFields.attributeName, attributes);
    this.#metricCount = metrics.length;
    this.#attributeCount = attributes.length;
    this.#attributes = new AttributeColumn(attributes.length);
    this.#parts = shape.parts;
    this.headBytes = blockHeadBytes(this.#name, this.#metricNames, this.#attributeNames);
    this.rowBytes = eventRowBytes(shape.parts, metrics.length);
    const idBytes =
      ((shape.parts & parts.traceId) !== 0 ? 16 : 0) + ((shape.parts & parts.spanId) !== 0 ? 8 : 0);
    this.#fixedBytes = 8 * metrics.length + idBytes;
    this.limitedBytes = [name, ...metrics, ...attributes].reduce(
      (sum, { bytes }) => sum + bytes.length,
      8 * metrics.length,
    );
  }

  /** Bytes of the texts of an event that was read, with their lengths. To be followed by `append`, or by nothing. */
  measure(reader: EventReader): number {
    let bytes = 0;
    if ((this.#parts & parts.body) !== 0) {
      this.#bodySize = textSize(reader.body);
      bytes = varintSize(this.#bodySize) + this.#bodySize;
    }
    return this.#attributeCount === 0 ? bytes : bytes + this.#attributes.measure(reader.texts, this.rows);
  }

  /** Keeps the event that was measured. `offset` is its number, counted from the draft's first. */
  append(reader: EventReader, severity: number, offset: number): void {
    const row = this.rows;
    if (row === this.#capacity) this.#grow();
    this.#offsets.appendOffset(offset);
    this.#times.appendTime(reader.timeMs, reader.timeNanos);
    if ((this.#parts & parts.step) !== 0) this.#steps.appendStep(reader.step);
    if (severity !== this.#severity || this.#isMixed) this.#appendSeverity(severity);
    const count = this.#metricCount;
    const { values } = reader;
    const metrics = this.#metrics;
    for (let index = 0, at = row * count; index < count; index++, at++) metrics[at] = values[index]!;
    if (this.#attributeCount > 0) this.#attributes.append(reader.texts, row);
    if (this.#parts > parts.step) this.#appendParts(reader);
    this.rows = row + 1;
  }

  /** The block, in views of the columns. */
  block(): Block {
    const { rows } = this;
    const has = (part: number): boolean => (this.#parts & part) !== 0;
    return {
      name: this.#name,
      count: rows,
      offsets: this.#offsets.bytes.subarray(0, this.#offsets.length),
      times: this.#times.bytes.subarray(0, this.#times.length),
      steps: has(parts.step) ? this.#steps.bytes.subarray(0, this.#steps.length) : undefined,
      severity: this.#isMixed ? this.#severities.subarray(0, rows) : this.#severity,
      bodies: has(parts.body) ? this.#bodies.bytes.subarray(0, this.#bodies.length) : undefined,
      metricNames: this.#metricNames,
      metricCount: this.#metricCount,
      metrics: bytesOf(this.#metrics, rows * this.#metricCount),
      attributeNames: this.#attributeNames,
      attributeCount: this.#attributeCount,
      attributes: this.#attributes.bytes(),
      isConstant: this.#attributes.isConstant,
      traceIds: has(parts.traceId) ? this.#traceIds.subarray(0, rows * 16) : undefined,
      spanIds: has(parts.spanId) ? this.#spanIds.subarray(0, rows * 8) : undefined,
    };
  }

  /** Forgets the events; the room for them stays. */
  clear(): void {
    this.rows = 0;
    this.#severity = 0;
    this.#isMixed = false;
    for (const column of [this.#offsets, this.#times, this.#steps]) column.clear();
    this.#bodies.length = 0;
    this.#attributes.clear();
  }

  /** Gives the room back as well. */
  release(): void {
    this.clear();
    this.#capacity = 0;
    for (const column of [this.#offsets, this.#times, this.#steps]) column.release();
    this.#severities = new Uint8Array(0);
    this.#metrics = new Float64Array(0);
    this.#traceIds = Buffer.alloc(0);
    this.#spanIds = Buffer.alloc(0);
    this.#bodies.release();
    this.#attributes.release();
  }

  /** Bytes of memory that the columns take, used or not. */
  get heldBytes(): number {
    return (
      this.#offsets.bytes.length +
      this.#times.bytes.length +
      this.#steps.bytes.length +
      this.#capacity * this.#fixedBytes +
      this.#severities.length +
      this.#bodies.bytes.length +
      this.#attributes.heldBytes
    );
  }

  #appendSeverity(severity: number): void {
    if (this.rows === 0) {
      this.#severity = severity;
      return;
    }
    if (!this.#isMixed) {
      if (this.#severities.length < this.#capacity) this.#severities = new Uint8Array(this.#capacity);
      this.#severities.fill(this.#severity, 0, this.rows);
      this.#isMixed = true;
    }
    this.#severities[this.rows] = severity;
  }

  #appendParts(reader: EventReader): void {
    if ((this.#parts & parts.body) !== 0) this.#bodies.append(reader.body, this.#bodySize);
    if ((this.#parts & parts.traceId) !== 0) this.#traceIds.set(reader.traceId!, this.rows * 16);
    if ((this.#parts & parts.spanId) !== 0) this.#spanIds.set(reader.spanId!, this.rows * 8);
  }

  #grow(): void {
    const capacity = Math.max(1, this.#capacity * 2, Math.floor(firstBytes / (this.#fixedBytes + 1)));
    this.#capacity = capacity;
    if (this.#isMixed) this.#severities = grown(this.#severities, new Uint8Array(capacity));
    if (this.#metricCount > 0)
      this.#metrics = grown(this.#metrics, new Float64Array(capacity * this.#metricCount));
    if ((this.#parts & parts.traceId) !== 0)
      this.#traceIds = grown(this.#traceIds, Buffer.allocUnsafeSlow(capacity * 16));
    if ((this.#parts & parts.spanId) !== 0)
      this.#spanIds = grown(this.#spanIds, Buffer.allocUnsafeSlow(capacity * 8));
  }
}

function grown<Column extends { set(from: Column): void }>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}

function bytesOf(column: Float64Array, length: number): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, length * column.BYTES_PER_ELEMENT);
}

function names(field: number, keys: readonly EncodedKey[]): Uint8Array {
  return Buffer.concat(keys.map(({ bytes }) => bytesField(field, bytes)));
}
