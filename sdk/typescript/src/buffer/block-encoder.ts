import { BlockColumns } from '../encode/block-columns.js';
import { EventReader, eventTooLarge, type WriterOptions } from '../encode/event-reader.js';
import type { WriteOutcome } from '../encode/event-writer.js';
import type { Shape } from '../encode/shape.js';
import type { EventClock } from '../event-clock.js';
import { internalLimits, wireLimits } from '../limits.js';
import { BlockDraft } from './block-draft.js';
import type { EventEncoder, OpenDraft } from './event-encoder.js';

/**
 * Requests of `EventBlock`s: an event is appended to the columns of its shape.
 *
 * Invariants:
 * 1. `used` are the columns that have events, those of the open draft, in the order in which their shapes came.
 * 2. An event that was written is held by the reader, and in the columns only once it is kept.
 * 3. The memory of all columns is at most twice what the open draft takes, and what `#trim` leaves.
 */
export class BlockEncoder implements EventEncoder {
  size = 0;
  overhead = 0;
  readonly used: BlockColumns[] = [];

  readonly #reader: EventReader;
  readonly #requestBytes: number;
  /** Those with memory of their own. */
  readonly #held = new Set<BlockColumns>();
  /** Where the event that was written last belongs, until it is kept. */
  #written: BlockColumns | undefined;

  constructor(clock: EventClock, requestBytes: number) {
    this.#reader = new EventReader(clock);
    this.#requestBytes = requestBytes;
  }

  get fieldErrors(): number {
    return this.#reader.fieldErrors;
  }

  set fieldErrors(count: number) {
    this.#reader.fieldErrors = count;
  }

  write(
    name: unknown,
    _severity: number,
    body: unknown,
    fields: unknown,
    options: WriterOptions | undefined,
  ): WriteOutcome {
    if (this.#written !== undefined) this.#forget();
    let shape: Shape;
    try {
      shape = this.#reader.read(name, body, fields, options);
    } catch (error) {
      this.#forget();
      if (error !== eventTooLarge) throw error;
      return 'too_large';
    }
    const columns = shape.columns ?? addColumns(shape);
    const textBytes = columns.measure(this.#reader);
    if (columns.limitedBytes + textBytes > wireLimits.eventBytes) {
      this.#forget();
      return 'too_large';
    }
    this.#written = columns;
    this.size = columns.rowBytes + textBytes;
    this.overhead = columns.rows === 0 ? columns.headBytes : 0;
    return 'written';
  }

  /** Appends the event that was written last; `offset` is its number, counted from the draft's first. */
  keep(severity: number, offset: number): void {
    const columns = this.#written!;
    if (columns.rows === 0) {
      this.used.push(columns);
      this.#held.add(columns);
    }
    columns.append(this.#reader, severity, offset);
    this.#forget();
  }

  open(first: number, openedMs: number): OpenDraft {
    return new BlockDraft({ first, openedMs, encoder: this });
  }

  discard(): void {
    for (const columns of this.used) columns.clear();
    this.used.length = 0;
    this.#trim();
  }

  /** Bytes of memory that the columns take, used or not. */
  get columnBytes(): number {
    let bytes = 0;
    for (const columns of this.#held) bytes += columns.heldBytes;
    return bytes;
  }

  #forget(): void {
    this.#reader.forget();
    this.#written = undefined;
  }

  /** What was large for a while need not stay so: columns that are used evenly take twice a request at most. */
  #trim(): void {
    if (this.columnBytes <= 2 * this.#requestBytes + internalLimits.idleColumnBytes) return;
    for (const columns of this.#held) columns.release();
    this.#held.clear();
  }
}

function addColumns(shape: Shape): BlockColumns {
  shape.columns = new BlockColumns(shape);
  return shape.columns;
}
