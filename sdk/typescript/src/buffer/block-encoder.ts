import { BlockColumns } from '../encode/block-columns.js';
import { type EventReader, eventReader, eventTooLarge, type WriterOptions } from '../encode/event-reader.js';
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
  fieldErrors = 0;
  size = 0;
  overhead = 0;
  readonly used: BlockColumns[] = [];

  readonly #clock: EventClock;
  readonly #requestBytes: number;
  /** Those of the shapes that came here, in the shapes' places. */
  readonly #columns: (BlockColumns | undefined)[] = [];
  /** Those with memory of their own. */
  readonly #held = new Set<BlockColumns>();
  /** What holds the event that was written last, until it is kept, and where that belongs. */
  #reader: EventReader | undefined;
  #written: BlockColumns | undefined;

  constructor(clock: EventClock, requestBytes: number) {
    this.#clock = clock;
    this.#requestBytes = requestBytes;
  }

  write(
    name: unknown,
    _severity: number,
    body: unknown,
    fields: unknown,
    options: WriterOptions | undefined,
  ): WriteOutcome {
    const reader = eventReader();
    let shape: Shape;
    try {
      shape = reader.read(this.#clock, name, body, fields, options);
    } catch (error) {
      this.fieldErrors += reader.fieldErrors;
      reader.forget();
      if (error !== eventTooLarge) throw error;
      return 'too_large';
    }
    if (reader.fieldErrors > 0) this.fieldErrors += reader.fieldErrors;
    const { latest } = shape;
    const columns = latest?.owner === this ? latest : this.#columnsOf(shape);
    const textBytes = columns.measure(reader);
    if (columns.limitedBytes + textBytes > wireLimits.eventBytes) {
      reader.forget();
      return 'too_large';
    }
    this.#reader = reader;
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
    const reader = this.#reader!;
    columns.append(reader, severity, offset);
    reader.forget();
  }

  open(first: number, openedMs: number): OpenDraft {
    return new BlockDraft({ first, openedMs, encoder: this });
  }

  discard(): void {
    for (const columns of this.used) columns.clear();
    this.used.length = 0;
    this.#trim();
  }

  release(): void {
    this.discard();
    this.#releaseColumns();
    // The shapes outlive it.
    for (const columns of this.#columns) {
      if (columns !== undefined && columns.shape.latest === columns) columns.shape.latest = undefined;
    }
    this.#columns.length = 0;
    this.#written = undefined;
    this.#reader = undefined;
  }

  /** Bytes of memory that the columns take, used or not. */
  get columnBytes(): number {
    let bytes = 0;
    for (const columns of this.#held) bytes += columns.heldBytes;
    return bytes;
  }

  #columnsOf(shape: Shape): BlockColumns {
    const known = this.#columns[shape.place];
    // In its place there may be those of a shape that was forgotten.
    const columns = known?.shape === shape ? known : new BlockColumns(shape, this);
    this.#columns[shape.place] = columns;
    shape.latest = columns;
    return columns;
  }

  /** What was large for a while need not stay so: columns that are used evenly take twice a request at most. */
  #trim(): void {
    if (this.columnBytes > 2 * this.#requestBytes + internalLimits.idleColumnBytes) this.#releaseColumns();
  }

  #releaseColumns(): void {
    for (const columns of this.#held) columns.release();
    this.#held.clear();
  }
}
