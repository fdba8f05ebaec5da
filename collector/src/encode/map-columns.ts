/**
 * The columns `metrics Map(LowCardinality(String), Float64)` and `attributes
 * Map(LowCardinality(String), String)`: offsets by row, keys as numbers of a dictionary, values.
 *
 * A key that comes twice in one event keeps its last value, as Protobuf's maps do.
 */
import { ByteColumn } from './byte-column.js';
import { Dictionary } from './dictionary.js';

export interface MapColumn {
  /** Tag of the value within a map entry. */
  readonly valueTag: number;
  /** Adds an entry to the open row. A value start of -1 means that the value is absent. */
  add(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void;
}

/** Keys and offsets, which both maps share. */
class MapKeys {
  readonly dictionary = new Dictionary();
  /** Dictionary number of each entry. */
  indexes = new Uint32Array(1 << 16);
  count = 0;
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

  reset(rows: number): void {
    this.dictionary.clear();
    this.count = 0;
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
    this.rowStart = this.count;
  }

  endRow(row: number): void {
    this.offsets[row * 2] = this.count;
    this.offsets[row * 2 + 1] = 0;
    this.#guessStart = this.rowStart;
    this.#guessEnd = this.count;
  }

  /** Adds a key to the open row; returns its entry, which is an older one if the row has the key already. */
  add(start: number, end: number): number {
    const guess = this.#guessStart + this.count - this.rowStart;
    let id: number;
    if (
      guess < this.#guessEnd &&
      this.dictionary.equals(this.indexes[guess] as number, this.#buffer, start, end)
    ) {
      id = this.indexes[guess] as number;
    } else {
      id = this.dictionary.idOf(this.#buffer, start, end);
      if (id >= this.#seenInRow.length) this.#growSeen();
    }
    if (this.#seenInRow[id] === this.#row) return this.#seenAt[id] as number;
    const entry = this.count++;
    if (entry === this.indexes.length) this.indexes = grow(this.indexes);
    this.indexes[entry] = id;
    this.#seenInRow[id] = this.#row;
    this.#seenAt[id] = entry;
    return entry;
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
    if (entry >= this.values.length) {
      const grown = new Float64Array(this.values.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[entry] = valueStart < 0 ? 0 : this.#view.getFloat64(valueStart, true);
  }

  endRow(row: number): void {
    this.keys.endRow(row);
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
}

function grow(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(array.length * 2);
  grown.set(array);
  return grown;
}
