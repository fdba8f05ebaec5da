import { defaultSeverity } from '../event-options.js';
import { type Block, blockFields } from './block.js';

/** Reads back blocks that `writeBlock` wrote, as views of the same bytes. Not for what others wrote. */
export function readBlocks(bytes: Buffer): Block[] {
  const blocks: Block[] = [];
  const cursor = new Cursor(bytes);
  while (cursor.at < bytes.length) {
    cursor.at++;
    blocks.push(readBlock(cursor.take(cursor.varint())));
  }
  return blocks;
}

/** Where each text begins, or each group of `perRow` texts, and where the last one ends. */
export function textStarts(texts: Uint8Array, rows: number, perRow: number): Uint32Array {
  const starts = new Uint32Array(rows + 1);
  const cursor = new Cursor(texts);
  for (let row = 0; row < rows; row++) {
    for (let index = 0; index < perRow; index++) {
      const length = cursor.varint();
      cursor.at += length;
    }
    starts[row + 1] = cursor.at;
  }
  return starts;
}

function readBlock(bytes: Uint8Array): Block {
  const cursor = new Cursor(bytes);
  const arrays: (Uint8Array | undefined)[] = [];
  let name: Uint8Array = empty;
  let count = 0;
  const names = { metrics: { from: 0, to: 0, count: 0 }, attributes: { from: 0, to: 0, count: 0 } };
  while (cursor.at < bytes.length) {
    const from = cursor.at;
    const field = cursor.varint() >> 3;
    const value = cursor.varint();
    if (field === blockFields.count) {
      count = value;
      continue;
    }
    arrays[field] = cursor.take(value);
    if (field === blockFields.name) name = bytes.subarray(from, cursor.at);
    else if (field === blockFields.metricName) extend(names.metrics, from, cursor.at);
    else if (field === blockFields.attributeName) extend(names.attributes, from, cursor.at);
  }
  const { metrics, attributes } = names;
  const severity = arrays[blockFields.severity];
  const texts = arrays[blockFields.attributes] ?? empty;
  return {
    name,
    count,
    offsets: arrays[blockFields.offsets] ?? empty,
    times: arrays[blockFields.times] ?? empty,
    steps: arrays[blockFields.steps],
    severity: severity === undefined ? defaultSeverity : severity.length === 1 ? severity[0]! : severity,
    bodies: arrays[blockFields.bodies],
    metricNames: bytes.subarray(metrics.from, metrics.to),
    metricCount: metrics.count,
    metrics: arrays[blockFields.metrics] ?? empty,
    attributeNames: bytes.subarray(attributes.from, attributes.to),
    attributeCount: attributes.count,
    attributes: texts,
    isConstant: textStarts(texts, 1, attributes.count)[1] === texts.length,
    traceIds: arrays[blockFields.traceIds],
    spanIds: arrays[blockFields.spanIds],
  };
}

const empty = new Uint8Array(0);

function extend(names: { from: number; to: number; count: number }, from: number, to: number): void {
  if (names.count++ === 0) names.from = from;
  names.to = to;
}

class Cursor {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#bytes[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  take(length: number): Uint8Array {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
}
