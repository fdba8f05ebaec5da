import type { WriterOptions } from '../encode/event-reader.js';
import { EventWriter, type WriteOutcome } from '../encode/event-writer.js';
import type { EventClock } from '../event-clock.js';
import type { EventEncoder, OpenDraft } from './event-encoder.js';
import { RowDraft } from './row-draft.js';

/** First size of the writer's buffer; it grows to a request and the event that fills it. */
const writerBytes = 16 * 1024;

/** Requests of `Event`s, for collectors that do not know blocks. */
export class RowEncoder implements EventEncoder {
  readonly overhead = 0;
  readonly #writer: EventWriter;

  constructor(clock: EventClock) {
    this.#writer = new EventWriter(clock, writerBytes);
  }

  get fieldErrors(): number {
    return this.#writer.fieldErrors;
  }

  set fieldErrors(count: number) {
    this.#writer.fieldErrors = count;
  }

  get size(): number {
    return this.#writer.end - this.#writer.committed;
  }

  write(
    name: unknown,
    severity: number,
    body: unknown,
    fields: unknown,
    options: WriterOptions | undefined,
  ): WriteOutcome {
    return this.#writer.write(name, severity, body, fields, options);
  }

  open(first: number, openedMs: number): OpenDraft {
    return new RowDraft({ first, openedMs, writer: this.#writer });
  }

  discard(): void {
    this.#writer.committed = 0;
  }

  release(): void {
    this.discard();
  }
}
