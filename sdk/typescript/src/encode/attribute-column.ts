import { wireLimits } from '../limits.js';
import { varintSize } from './protobuf.js';
import { textSize } from './text.js';
import { TextColumn } from './text-column.js';

/** Sizes of the texts that were measured last; of whatever column, because there is one event at a time. */
const sizes = new Uint32Array(wireLimits.keysPerEvent);

/**
 * The attributes of a block's events, row by row. Mostly they are the same in all of them: until one differs, they
 * are kept as the first event's texts, and nothing is encoded before the block is laid out.
 */
export class AttributeColumn {
  isConstant = true;
  readonly #count: number;
  readonly #texts = new TextColumn();
  readonly #constants: string[] = [];
  #constantBytes = 0;
  /** Whether what was measured last has to be written, or is what all rows have. */
  #isNew = false;

  /** `count` attributes a row. */
  constructor(count: number) {
    this.#count = count;
  }

  /** Bytes of a row with its lengths. To be followed by `append`, or by nothing. */
  measure(texts: readonly string[], rows: number): number {
    const count = this.#count;
    if (this.isConstant && rows > 0) {
      const constants = this.#constants;
      let index = 0;
      while (index < count && texts[index] === constants[index]) index++;
      this.#isNew = index < count;
      if (!this.#isNew) return this.#constantBytes;
    } else {
      this.#isNew = count > 0;
    }
    let bytes = 0;
    for (let index = 0; index < count; index++) {
      const size = textSize(texts[index]!);
      sizes[index] = size;
      bytes += varintSize(size) + size;
    }
    return bytes;
  }

  /** Appends the row that was measured behind so many others. */
  append(texts: readonly string[], rows: number): void {
    if (this.#isNew) this.#appendNew(texts, rows);
  }

  /** Those of all rows, if they are the same, or else of each. A view. */
  bytes(): Uint8Array {
    if (this.isConstant) this.#encodeConstants();
    return this.#texts.bytes.subarray(0, this.#texts.length);
  }

  clear(): void {
    this.#texts.length = 0;
    this.isConstant = true;
    this.#constants.length = 0;
  }

  release(): void {
    this.clear();
    this.#texts.release();
  }

  get heldBytes(): number {
    return this.#texts.bytes.length;
  }

  #appendNew(texts: readonly string[], rows: number): void {
    const count = this.#count;
    if (rows === 0) {
      this.#constantBytes = 0;
      for (let index = 0; index < count; index++) {
        this.#constants[index] = texts[index]!;
        this.#constantBytes += varintSize(sizes[index]!) + sizes[index]!;
      }
      return;
    }
    if (this.isConstant) {
      this.#encodeConstants();
      this.#texts.repeat(rows);
      this.isConstant = false;
      this.#constants.length = 0;
    }
    for (let index = 0; index < count; index++) this.#texts.append(texts[index]!, sizes[index]!);
  }

  #encodeConstants(): void {
    this.#texts.length = 0;
    for (const text of this.#constants) this.#texts.append(text, textSize(text));
  }
}
