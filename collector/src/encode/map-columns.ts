/**
 * The columns `metrics Map(LowCardinality(String), Float64)` and `attributes
 * Map(LowCardinality(String), String)`: offsets by row, keys as numbers of a dictionary, values.
 *
 * A key that comes twice in one row event keeps its last value, as Protobuf's maps do. Rows of a block
 * share their keys, which the door has found to differ.
 */
import type { BlockView } from '../event-block.js';
import { ByteColumn } from './byte-column.js';
import { Dictionary } from './dictionary.js';
import { IndexColumn } from './index-column.js';

export interface MapColumn {
  /** Tag of the value within a map entry. */
  readonly valueTag: number;
  /** Adds an entry to the open row. A value start of -1 means that the value is absent. */
  add(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void;
}

/** Up to here, values one by one cost less than the calls that copy them together. */
const fewRows = 4;

/** Keys and offsets, which both maps share. */
class MapKeys {
  readonly dictionary = new Dictionary();
  /** Dictionary number of each entry. */
  readonly indexes = new IndexColumn(1 << 16);
  /** Where each row's entries end, as halves of a UInt64. */
  offsets = new Uint32Array(0);
  rowStart = 0;
  #buffer: Buffer = Buffer.alloc(0);
  /** Numbers of the previous row's keys, in order: rows of one shape repeat them. */
  #guessStart = 0;
  #guessEnd = 0;
  /** By dictionary number: the row that had the key last, plus 1, and the entry that holds it. */
  #seenInRow = new Uint32Array(1024);
  #seenAt = new Uint32Array(1024);
  #row = 0;
  /** By a block's list of names. */
  readonly #ids = new Map<readonly number[], readonly number[]>();

  get count(): number {
    return this.indexes.length;
  }

  reset(rows: number): void {
    this.dictionary.clear();
    this.#ids.clear();
    this.indexes.clear();
    this.#guessStart = 0;
    this.#guessEnd = 0;
    this.#seenInRow.fill(0);
    if (rows * 2 > this.offsets.length) this.offsets = new Uint32Array(rows * 2);
  }

  open(buffer: Buffer): void {
    this.#buffer = buffer;
  }

  startRow(row: number): void {
    this.#row = row + 1;
    this.rowStart = this.indexes.length;
  }

  endRow(row: number): void {
    this.offsets[row * 2] = this.indexes.length;
    this.offsets[row * 2 + 1] = 0;
    this.#guessStart = this.rowStart;
    this.#guessEnd = this.indexes.length;
  }

  /** Adds a key to the open row; returns its entry, which is an older one if the row has the key already. */
  add(start: number, end: number): number {
    const { indexes } = this;
    const guess = this.#guessStart + indexes.length - this.rowStart;
    let id: number;
    if (
      guess < this.#guessEnd &&
      this.dictionary.equals(indexes.indexes[guess] as number, this.#buffer, start, end)
    ) {
      id = indexes.indexes[guess] as number;
    } else {
      id = this.dictionary.idOf(this.#buffer, start, end);
    }
    // Rows of blocks do not look here, so a guess may name a key that was not yet seen here.
    while (id >= this.#seenInRow.length) this.#growSeen();
    if (this.#seenInRow[id] === this.#row) return this.#seenAt[id] as number;
    const entry = indexes.length;
    if (entry === indexes.indexes.length) indexes.reserve(1);
    indexes.push(id);
    this.#seenInRow[id] = this.#row;
    this.#seenAt[id] = entry;
    return entry;
  }

  /** The numbers of a block's names: looked up once a block. */
  idsOf(names: readonly number[]): readonly number[] {
    let ids = this.#ids.get(names);
    if (ids === undefined) {
      ids = this.#lookUp(names);
      this.#ids.set(names, ids);
    }
    return ids;
  }

  /** Lets go of what belongs to the segment's blocks. */
  close(): void {
    this.#ids.clear();
  }

  #lookUp(names: readonly number[]): readonly number[] {
    const ids: number[] = [];
    for (let at = 0; at < names.length; at += 2) {
      ids.push(this.dictionary.idOf(this.#buffer, names[at] as number, names[at + 1] as number));
    }
    return ids;
  }

  /** The keys of `rows` rows of a block, from `row` on. */
  addRows(names: readonly number[], row: number, rows: number): void {
    const { indexes, offsets } = this;
    // Few rows at a time come back for the same names; a whole block does not, and a list of each would pile up.
    const ids = rows <= fewRows ? this.idsOf(names) : this.#lookUp(names);
    const keys = ids.length;
    const start = indexes.length;
    if (keys > 0) {
      indexes.reserve(keys * rows);
      for (let key = 0; key < keys; key++) indexes.push(ids[key] as number);
      if (rows > 1) indexes.repeat(keys, rows);
    }
    let end = start;
    for (let place = row * 2; place < (row + rows) * 2; place += 2) {
      end += keys;
      offsets[place] = end;
      offsets[place + 1] = 0;
    }
    this.rowStart = indexes.length;
    this.#guessStart = indexes.length - keys;
    this.#guessEnd = indexes.length;
  }

  #growSeen(): void {
    this.#seenInRow = grow(this.#seenInRow);
    this.#seenAt = grow(this.#seenAt);
  }
}

export class MetricColumn implements MapColumn {
  readonly valueTag = 0x11;
  readonly keys = new MapKeys();
  values = new Float64Array(1 << 16);
  /** The same memory, to copy values as bytes: a NaN keeps its bits. */
  #valueBytes = new Uint8Array(this.values.buffer);
  #view: DataView = new DataView(new ArrayBuffer(0));

  reset(rows: number): void {
    this.keys.reset(rows);
  }

  open(buffer: Buffer, view: DataView): void {
    this.keys.open(buffer);
    this.#view = view;
  }

  startRow(row: number): void {
    this.keys.startRow(row);
  }

  add(keyStart: number, keyEnd: number, valueStart: number): void {
    const entry = this.keys.add(keyStart, keyEnd);
    if (entry >= this.values.length) this.#growTo(entry + 1);
    this.values[entry] = valueStart < 0 ? 0 : this.#view.getFloat64(valueStart, true);
  }

  endRow(row: number): void {
    this.keys.endRow(row);
  }

  addRows(block: BlockView, from: number, to: number, row: number): void {
    const entry = this.keys.count;
    this.keys.addRows(block.metricNames, row, to - from);
    if (block.metricNames.length === 0) return;
    if (this.keys.count > this.values.length) this.#growTo(this.keys.count);
    const position = block.metricsPosition(from);
    if (to - from <= fewRows) {
      const count = this.keys.count - entry;
      for (let at = 0; at < count; at++)
        this.values[entry + at] = block.view.getFloat64(position + at * 8, true);
      return;
    }
    this.#valueBytes.set(block.bytes.subarray(position, block.metricsPosition(to)), entry * 8);
  }

  #growTo(entries: number): void {
    const grown = new Float64Array(Math.max(entries, this.values.length * 2));
    grown.set(this.values);
    this.values = grown;
    this.#valueBytes = new Uint8Array(grown.buffer);
  }
}

export class TextMapColumn implements MapColumn {
  readonly valueTag = 0x12;
  readonly keys = new MapKeys();
  readonly values = new ByteColumn(1 << 20);
  #buffer: Buffer = Buffer.alloc(0);
  /** Bounds of the open row's values in the segment, by entry; they are copied at the row's end. */
  #starts = new Uint32Array(2048);
  #ends = new Uint32Array(2048);

  reset(rows: number): void {
    this.keys.reset(rows);
    this.values.clear();
  }

  open(buffer: Buffer): void {
    this.keys.open(buffer);
    this.#buffer = buffer;
  }

  startRow(row: number): void {
    this.keys.startRow(row);
  }

  add(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const place = this.keys.add(keyStart, keyEnd) - this.keys.rowStart;
    if (place >= this.#starts.length) {
      this.#starts = grow(this.#starts);
      this.#ends = grow(this.#ends);
    }
    this.#starts[place] = valueStart < 0 ? 0 : valueStart;
    this.#ends[place] = valueStart < 0 ? 0 : valueEnd;
  }

  endRow(row: number): void {
    const entries = this.keys.count - this.keys.rowStart;
    for (let place = 0; place < entries; place++) {
      this.values.appendString(this.#buffer, this.#starts[place] as number, this.#ends[place] as number);
    }
    this.keys.endRow(row);
  }

  /** A block's texts have the layout of the column already. */
  addRows(block: BlockView, from: number, to: number, row: number): void {
    this.keys.addRows(block.attributeNames, row, to - from);
    if (block.attributeNames.length === 0) return;
    const { bytes, attributesStart, attributesEnd } = block;
    if (to - from === 1 && block.hasSharedAttributes)
      this.values.append(bytes, attributesStart, attributesEnd);
    else if (block.hasSharedAttributes) {
      this.values.append(bytes, attributesStart, attributesEnd);
      this.values.repeat(attributesEnd - attributesStart, to - from);
    } else {
      this.values.append(bytes, block.attributesPosition(from), block.attributesPosition(to));
    }
  }
}

function grow(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(array.length * 2);
  grown.set(array);
  return grown;
}
