import type { Block } from '../encode/block.js';
import { eventRowBytes } from '../encode/event-size.js';
import { textStarts } from '../encode/read-blocks.js';
import { offsetsOf } from '../encode/select-rows.js';
import { parts } from '../encode/shape.js';
import { severities } from './tally.js';

const evicted = 0;
/** Rows of a request fit into so many bits, and an offset of 32 bits beside them into a double. */
const rowBits = 2 ** 21;

/**
 * The events of a draft of blocks in the order of their numbers. It is made from the blocks when the first of them is
 * evicted, which few drafts come to, and finds the next one to go without a search.
 */
export class EvictionIndex {
  #count = 0;
  #offsets: Uint32Array;
  #severities: Uint8Array;
  #sizes: Uint32Array;
  /** From where to look backwards for the newest event of each severity. */
  readonly #newest = new Int32Array(severities).fill(-1);

  constructor(blocks: readonly Block[]) {
    const rows = blocks.reduce((sum, { count }) => sum + count, 0);
    const order = new Float64Array(rows);
    const sizes = new Uint32Array(rows);
    const levels = new Uint8Array(rows);
    let row = 0;
    for (const block of blocks) {
      const { severity, count } = block;
      sizes.set(sizesOf(block), row);
      if (typeof severity === 'number') levels.fill(severity, row, row + count);
      else levels.set(severity, row);
      for (const offset of offsetsOf(block)) order[row] = offset * rowBits + row++;
    }
    this.#offsets = new Uint32Array(rows);
    this.#severities = new Uint8Array(rows);
    this.#sizes = new Uint32Array(rows);
    if (blocks.length > 1) order.sort();
    for (const place of order) {
      const at = place % rowBits;
      this.add((place - at) / rowBits, levels[at]!, sizes[at]!);
    }
  }

  /** An event that is newer than all others. */
  add(offset: number, severity: number, size: number): void {
    if (this.#count === this.#offsets.length) this.#grow();
    this.#offsets[this.#count] = offset;
    this.#severities[this.#count] = severity;
    this.#sizes[this.#count] = size;
    this.#newest[severity] = this.#count++;
  }

  /** Marks the newest event of a severity, of which there must be one; returns its size. */
  evictNewest(severity: number): number {
    let index = this.#newest[severity]!;
    while (this.#severities[index] !== severity) index--;
    this.#severities[index] = evicted;
    this.#newest[severity] = index - 1;
    return this.#sizes[index]!;
  }

  /** The offsets of what was evicted, ascending. */
  evicted(): number[] {
    const offsets: number[] = [];
    for (let index = 0; index < this.#count; index++) {
      if (this.#severities[index] === evicted) offsets.push(this.#offsets[index]!);
    }
    return offsets;
  }

  #grow(): void {
    const capacity = Math.max(64, this.#count * 2);
    const offsets = new Uint32Array(capacity);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const levels = new Uint8Array(capacity);
    levels.set(this.#severities);
    this.#severities = levels;
    const sizes = new Uint32Array(capacity);
    sizes.set(this.#sizes);
    this.#sizes = sizes;
  }
}

/** What each event of a block was counted as when it was logged. */
function sizesOf(block: Block): Uint32Array {
  const { count, bodies, attributes, attributeCount, isConstant } = block;
  const given =
    (block.steps ? parts.step : 0) +
    (block.traceIds ? parts.traceId : 0) +
    (block.spanIds ? parts.spanId : 0);
  const fixed = eventRowBytes(given, block.metricCount) + (isConstant ? attributes.length : 0);
  const sizes = new Uint32Array(count).fill(fixed);
  const addTexts = (starts: Uint32Array): void => {
    for (let row = 0; row < count; row++) sizes[row]! += starts[row + 1]! - starts[row]!;
  };
  if (bodies) addTexts(textStarts(bodies, count, 1));
  if (!isConstant) addTexts(textStarts(attributes, count, attributeCount));
  return sizes;
}
