/**
 * ClickHouse's Native format, as the HTTP interface takes it (protocol revision 0: no block info, no
 * serialization kinds): the number of columns and rows, then for each column its name, its type and
 * its data. Sources: ClickHouse's documentation of the Native format, and
 * src/DataTypes/Serializations/SerializationLowCardinality.cpp for the dictionaries.
 */
import type { Dictionary } from './dictionary.js';
import type { IndexColumn } from './index-column.js';

/** version 1 (SharedDictionariesWithAdditionalKeys), which precedes a LowCardinality column's data. */
const lowCardinalityPrefix = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
/** HasAdditionalKeys: the dictionary comes with the block. */
const hasAdditionalKeys = 0x200;

/** Collects one block as a list of buffers; nothing that a column already holds is copied. */
export class NativeBlock {
  readonly chunks: Buffer[] = [];
  bytes = 0;

  constructor(columns: number, rows: number) {
    this.push(Buffer.concat([varint(columns), varint(rows)]));
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.chunks.push(chunk);
    this.bytes += chunk.length;
  }

  column(name: string, type: string): void {
    this.push(Buffer.concat([text(name), text(type)]));
  }

  /** Fixed-width values, little-endian as the host's (checked at start). */
  values(array: Uint8Array | Uint16Array | Uint32Array | Float64Array, count: number): void {
    this.push(Buffer.from(array.buffer, array.byteOffset, count * array.BYTES_PER_ELEMENT));
  }

  lowCardinalityPrefix(): void {
    this.push(lowCardinalityPrefix);
  }

  /** Dictionary and indexes of a LowCardinality(String) column. A column without rows has no data at all. */
  lowCardinality(dictionary: Dictionary, indexes: IndexColumn): void {
    if (indexes.length === 0) return;
    const head = Buffer.alloc(16);
    head.writeUInt32LE(hasAdditionalKeys | indexes.type, 0);
    head.writeUInt32LE(dictionary.count, 8);
    this.push(head);
    this.push(dictionary.keys.view());
    const rows = Buffer.alloc(8);
    rows.writeUInt32LE(indexes.length, 0);
    this.push(rows);
    this.push(indexes.view());
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(bytes.length), bytes]);
}
