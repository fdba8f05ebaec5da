import type { EventClock } from '../event-clock.js';
import { defaultSeverity } from '../event-options.js';
import { wireLimits } from '../limits.js';
import type { EncodedKey, Piece } from './encoded-texts.js';
import { type EventReader, eventReader, eventTooLarge, type WriterOptions } from './event-reader.js';
import { splitNanos, tag, varintSize, wireType, writeVarint, writeVarint64, zigzag64 } from './protobuf.js';
import { parts, type Shape } from './shape.js';
import { textSize, writeText } from './text.js';

/**
 * Writes events as `LogRequest.events` entries, one behind the other, into one buffer that it keeps.
 *
 * Invariants:
 * 1. Bytes before `committed` are whole entries; what a failed write left behind it is overwritten.
 * 2. An event has one encoding: fields in the order of their numbers, metrics and attributes in the
 *    order of the caller's keys, nothing written for a default.
 */
const eventTag = tag(3, wireType.bytes);
const timeHalves = new Uint32Array(2);
const timeTag = tag(1, wireType.fixed64);
const severityTag = tag(3, wireType.varint);
const bodyTag = tag(4, wireType.bytes);
const stepTag = tag(5, wireType.varint);
const attributeTag = tag(7, wireType.bytes);
const traceIdTag = tag(8, wireType.bytes);
const spanIdTag = tag(9, wireType.bytes);

/** Room for everything in an event but its texts: name, time, severity, step, ids, tags, lengths. */
const headBytes = 512;
/** Room for one key with tags and lengths, or for one metric. */
const keyBytes = wireLimits.keyBytes + 32;

export type WriteOutcome = 'written' | 'too_large';

export class EventWriter {
  bytes: Buffer;
  /** End of the last entry that was kept. */
  committed = 0;
  /** End of the entry that was written last; becomes `committed` when it is kept. */
  end = 0;

  /** Fields left out, cut names and ignored options since the start. */
  fieldErrors = 0;

  readonly #clock: EventClock;
  #view: DataView;
  #at = 0;
  #start = 0;
  /** Bytes of the length in front of an event, as the last event had it: neighbours resemble each other. */
  #lengthBytes = 1;

  constructor(clock: EventClock, bytes: number) {
    this.#clock = clock;
    this.bytes = Buffer.allocUnsafeSlow(bytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Encodes one event behind the committed ones. May throw what the caller's getters throw. */
  write(
    name: unknown,
    severity: number,
    body: unknown,
    fields: unknown,
    options: WriterOptions | undefined,
  ): WriteOutcome {
    this.#start = this.committed;
    this.#ensureAt(this.committed, headBytes);
    this.#at = this.committed + 1 + this.#lengthBytes;
    const reader = eventReader();
    try {
      this.#writeEvent(reader, reader.read(this.#clock, name, body, fields, options), severity);
    } catch (error) {
      if (error !== eventTooLarge) throw error;
      return 'too_large';
    } finally {
      this.fieldErrors += reader.fieldErrors;
      reader.forget();
    }
    return this.#writeLength();
  }

  #writeEvent(reader: EventReader, shape: Shape, severity: number): void {
    this.#writeTime(reader);
    this.#copy(shape.name.field);
    if (severity !== defaultSeverity) {
      this.bytes[this.#at++] = severityTag;
      this.bytes[this.#at++] = severity;
    }
    if ((shape.parts & parts.body) !== 0) this.#writeBody(reader.body);
    if ((shape.parts & parts.step) !== 0) this.#writeStep(reader.step);
    const { metrics, attributes } = shape;
    for (let index = 0; index < metrics.length; index++)
      this.#writeMetric(metrics[index]!, reader.values[index]!);
    for (let index = 0; index < attributes.length; index++)
      this.#writeAttribute(attributes[index]!, reader.texts[index]!);
    this.#ensure(headBytes);
    if ((shape.parts & parts.traceId) !== 0) this.#writeId(traceIdTag, reader.traceId!);
    if ((shape.parts & parts.spanId) !== 0) this.#writeId(spanIdTag, reader.spanId!);
  }

  /** Puts tag and length in front, moving the event if its length takes more or fewer bytes than guessed. */
  #writeLength(): WriteOutcome {
    const from = this.#start + 1 + this.#lengthBytes;
    const length = this.#at - from;
    if (length > wireLimits.eventBytes) return 'too_large';
    const lengthBytes = varintSize(length);
    if (lengthBytes !== this.#lengthBytes) {
      this.bytes.copyWithin(this.#start + 1 + lengthBytes, from, this.#at);
      this.#lengthBytes = lengthBytes;
    }
    this.bytes[this.#start] = eventTag;
    this.end = writeVarint(this.bytes, this.#start + 1, length) + length;
    return 'written';
  }

  #writeTime({ timeMs, timeNanos }: EventReader): void {
    splitNanos(timeMs, timeNanos, timeHalves);
    this.bytes[this.#at] = timeTag;
    this.#view.setUint32(this.#at + 1, timeHalves[0]!, true);
    this.#view.setUint32(this.#at + 5, timeHalves[1]!, true);
    this.#at += 9;
  }

  #writeBody(text: string): void {
    const size = textSize(text);
    this.#ensure(keyBytes + size);
    this.bytes[this.#at++] = bodyTag;
    this.#writeText(text, size);
  }

  #writeStep(step: number | bigint): void {
    this.bytes[this.#at++] = stepTag;
    // Zigzag by arithmetic: doubling passes 2^53 only for steps that are then written the slow way.
    if (typeof step === 'number' && Math.abs(step) < 2 ** 52) {
      this.#at = writeVarint(this.bytes, this.#at, step >= 0 ? step * 2 : -step * 2 - 1);
    } else {
      this.#at = writeVarint64(this.bytes, this.#at, zigzag64(BigInt(step)));
    }
  }

  #writeMetric(key: EncodedKey, value: number): void {
    this.#ensure(keyBytes);
    this.#copy(key.metric);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  #writeAttribute({ attribute }: EncodedKey, text: string): void {
    const size = textSize(text);
    this.#ensure(keyBytes + size);
    this.bytes[this.#at++] = attributeTag;
    this.#at = writeVarint(this.bytes, this.#at, attribute.length + varintSize(size) + size);
    this.#copy(attribute);
    this.#writeText(text, size);
  }

  #writeId(idTag: number, id: Uint8Array): void {
    this.bytes[this.#at++] = idTag;
    this.bytes[this.#at++] = id.length;
    this.bytes.set(id, this.#at);
    this.#at += id.length;
  }

  /** Writes a text with its length; there must be room for it. */
  #writeText(text: string, size: number): void {
    const at = writeVarint(this.bytes, this.#at, size);
    this.#at = writeText(this.bytes, at, text, size);
  }

  /** Writes up to three bytes too many, which are overwritten or never read; `#ensure` allows for them. */
  #copy(from: Piece): void {
    const view = this.#view;
    const { words } = from;
    let at = this.#at;
    for (let index = 0; index < words.length; index++) {
      view.setUint32(at, words[index]!, true);
      at += 4;
    }
    this.#at += from.length;
  }

  #ensure(size: number): void {
    this.#ensureAt(this.#at, size);
  }

  #ensureAt(at: number, size: number): void {
    if (at + size > this.bytes.length) this.#grow(at, size);
  }

  #grow(at: number, size: number): void {
    if (at - this.#start > wireLimits.eventBytes + headBytes) throw eventTooLarge;
    let capacity = this.bytes.length * 2;
    while (capacity < at + size) capacity *= 2;
    const bytes = Buffer.allocUnsafeSlow(capacity);
    this.bytes.copy(bytes, 0, 0, at);
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
