import type { EventClock } from '../event-clock.js';
import { defaultSeverity } from '../event-options.js';
import { wireLimits } from '../limits.js';
import { BoundedCache, type EncodedKey, encodeKey, encodeName, type Piece } from './encoded-texts.js';
import {
  tag,
  varintSize,
  wireType,
  writeMsAsNanos,
  writeVarint,
  writeVarint64,
  zigzag64,
} from './protobuf.js';
import { attributeText, errorText, OversizedValue } from './value.js';

/**
 * Writes events as `LogRequest.events` entries, one behind the other, into one buffer that it keeps.
 *
 * Invariants:
 * 1. Bytes before `committed` are whole entries; what a failed write left behind it is overwritten.
 * 2. An event has one encoding: fields in the order of their numbers, metrics and attributes in the
 *    order of the caller's keys, nothing written for a default.
 * 3. A field that cannot be encoded costs itself and is counted in `fieldErrors`; only a size beyond the
 *    limit costs the event.
 */
const eventTag = tag(3, wireType.bytes);
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
/** Up to here a loop over the characters is faster than a call into the engine (60 ns). */
const shortText = 24;
/** The largest bigint that is a metric: beyond, a double loses digits. */
const maxMetric = 2 ** 53;
const maxTimeMs = 2 ** 63 / 1e6;

export type WriteOutcome = 'written' | 'too_large';

/** `options` is what the caller gave: nothing about it is certain but that it is an object. */
export interface WriterOptions {
  readonly step?: unknown;
  readonly time?: unknown;
  readonly traceId?: unknown;
  readonly spanId?: unknown;
}

class EventTooLarge extends Error {}
const eventTooLarge = new EventTooLarge('event too large');

export class EventWriter {
  bytes: Buffer;
  /** End of the last entry that was kept. */
  committed = 0;
  /** End of the entry that was written last; becomes `committed` when it is kept. */
  end = 0;
  /** Fields left out, cut names and ignored options since the start. */
  fieldErrors = 0;

  readonly #clock: EventClock;
  readonly #names = new BoundedCache(encodeName);
  readonly #keys = new BoundedCache<EncodedKey | undefined>(encodeKey);
  #view: DataView;
  #at = 0;
  #start = 0;
  #keyCount = 0;
  /** Bytes of the length in front of an event, as the last event had it: neighbours resemble each other. */
  #lengthBytes = 1;
  // Fields that are not numbers wait here until the metrics are written. Reused, so nothing is allocated.
  readonly #waitingKeys: EncodedKey[] = [];
  readonly #waitingValues: unknown[] = [];
  #waiting = 0;

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
    try {
      this.#writeEvent(name, severity, body, fields, options);
    } catch (error) {
      if (error !== eventTooLarge) throw error;
      return 'too_large';
    } finally {
      if (this.#waiting > 0) this.#forgetWaiting();
    }
    return this.#writeLength();
  }

  #writeEvent(
    name: unknown,
    severity: number,
    body: unknown,
    fields: unknown,
    options: WriterOptions | undefined,
  ): void {
    const time = options?.time;
    if (time === undefined) this.#writeTimeMs(this.#clock.nowMs());
    else this.#writeGivenTime(time);
    this.#writeName(name);
    if (severity !== defaultSeverity) {
      this.bytes[this.#at++] = severityTag;
      this.bytes[this.#at++] = severity;
    }
    if (body !== undefined && body !== '') this.#writeBody(body);
    const step = options?.step;
    if (step !== undefined && step !== null) this.#writeStep(step);
    this.#keyCount = 0;
    if (typeof fields === 'object' && fields !== null) this.#writeFields(fields as Record<string, unknown>);
    else if (fields !== undefined && fields !== null) this.fieldErrors++;
    if (options === undefined) return;
    const { traceId, spanId } = options;
    this.#ensure(headBytes);
    if (traceId !== undefined && traceId !== null) this.#writeId(traceIdTag, traceId, 16);
    if (spanId !== undefined && spanId !== null) this.#writeId(spanIdTag, spanId, 8);
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

  #writeTimeMs(ms: number): void {
    this.bytes[this.#at] = timeTag;
    writeMsAsNanos(this.#view, this.#at + 1, ms);
    this.#at += 9;
  }

  #writeGivenTime(time: unknown): void {
    if (typeof time === 'bigint' && time > 0n && time < 2n ** 63n) {
      this.bytes[this.#at] = timeTag;
      this.#view.setBigUint64(this.#at + 1, time, true);
      this.#at += 9;
      return;
    }
    const ms = time instanceof Date ? time.getTime() : time;
    if (typeof ms === 'number' && ms > 0 && ms < maxTimeMs) {
      this.#writeTimeMs(ms);
      return;
    }
    if (time !== null) this.fieldErrors++;
    this.#writeTimeMs(this.#clock.nowMs());
  }

  #writeName(name: unknown): void {
    if (typeof name !== 'string' && name !== undefined && name !== null) this.fieldErrors++;
    const { field, cut } = this.#names.get(typeof name === 'string' ? name : '');
    if (cut) this.fieldErrors++;
    this.#copy(field);
  }

  #writeBody(body: unknown): void {
    let text: string | undefined;
    try {
      text = attributeText(body);
    } catch (error) {
      this.#countOrStop(error);
    }
    if (text === undefined || text === '') return;
    const length = this.#ensureText(text);
    this.bytes[this.#at++] = bodyTag;
    this.#at = writeVarint(this.bytes, this.#at, length);
    this.#writeText(text, length);
  }

  #writeStep(step: unknown): void {
    if (typeof step === 'number' && Number.isSafeInteger(step)) {
      this.bytes[this.#at++] = stepTag;
      // Zigzag by arithmetic: doubling passes 2^53 only for steps that are then written the slow way.
      if (Math.abs(step) < 2 ** 52) {
        this.#at = writeVarint(this.bytes, this.#at, step >= 0 ? step * 2 : -step * 2 - 1);
      } else {
        this.#at = writeVarint64(this.bytes, this.#at, zigzag64(BigInt(step)));
      }
    } else if (typeof step === 'bigint' && BigInt.asIntN(64, step) === step) {
      this.bytes[this.#at++] = stepTag;
      this.#at = writeVarint64(this.bytes, this.#at, zigzag64(step));
    } else {
      this.fieldErrors++;
    }
  }

  #writeFields(fields: Record<string, unknown>): void {
    try {
      for (const key in fields) {
        if (Object.hasOwn(fields, key)) this.#takeField(fields, key);
      }
      // An error in place of the fields is a common slip; its own keys do not say what happened.
      if (fields instanceof Error) this.#wait('error', errorText(fields));
    } catch (error) {
      // A Proxy that refuses to say which keys it has: what was read until then is kept.
      this.#countOrStop(error);
    }
    for (let index = 0; index < this.#waiting; index++) {
      this.#writeAttribute(this.#waitingKeys[index]!, this.#waitingValues[index]);
    }
  }

  /** Writes a metric, or lets the field wait for the metrics' end. */
  #takeField(fields: Record<string, unknown>, key: string): void {
    let value: unknown;
    try {
      value = fields[key];
    } catch {
      this.fieldErrors++;
      return;
    }
    if (typeof value === 'number') {
      // A number is a double already, so a metric holds all of it, a loss that diverges to 1e20 included.
      this.#writeMetric(key, value);
    } else if (typeof value === 'bigint' && value <= maxMetric && value >= -maxMetric) {
      this.#writeMetric(key, Number(value));
    } else if (value !== undefined && value !== null) {
      this.#wait(key, value);
    }
  }

  #writeMetric(key: string, value: number): void {
    const encoded = this.#keys.get(key);
    if (encoded === undefined || this.#keyCount === wireLimits.keysPerEvent) {
      this.fieldErrors++;
      return;
    }
    this.#keyCount++;
    this.#ensure(keyBytes);
    this.#copy(encoded.metric);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  #wait(key: string, value: unknown): void {
    const encoded = this.#keys.get(key);
    if (encoded === undefined || this.#keyCount === wireLimits.keysPerEvent) {
      this.fieldErrors++;
      return;
    }
    this.#keyCount++;
    this.#waitingKeys[this.#waiting] = encoded;
    this.#waitingValues[this.#waiting++] = value;
  }

  /** So that the caller's objects do not live on here. */
  #forgetWaiting(): void {
    for (let index = 0; index < this.#waiting; index++) this.#waitingValues[index] = undefined;
    this.#waiting = 0;
  }

  #writeAttribute(key: EncodedKey, value: unknown): void {
    let text: string | undefined;
    if (typeof value === 'string') {
      text = value;
    } else {
      try {
        text = attributeText(value);
      } catch (error) {
        this.#countOrStop(error);
      }
      if (text === undefined) return;
    }
    const length = this.#ensureText(text);
    const { attribute } = key;
    this.bytes[this.#at++] = attributeTag;
    this.#at = writeVarint(this.bytes, this.#at, attribute.length + varintSize(length) + length);
    this.#copy(attribute);
    this.#at = writeVarint(this.bytes, this.#at, length);
    this.#writeText(text, length);
  }

  #writeId(idTag: number, id: unknown, size: number): void {
    let bytes: Uint8Array | undefined;
    if (typeof id === 'string' && id.length === size * 2) bytes = Buffer.from(id, 'hex');
    else if (id instanceof Uint8Array) bytes = id;
    if (bytes?.length !== size) {
      this.fieldErrors++;
      return;
    }
    this.bytes[this.#at++] = idTag;
    this.bytes[this.#at++] = size;
    this.bytes.set(bytes, this.#at);
    this.#at += size;
  }

  /** Makes room for a text and a key, and says how many bytes the text takes. */
  #ensureText(text: string): number {
    const { length } = text;
    if (length <= shortText && isAscii(text)) {
      this.#ensure(keyBytes + shortText);
      return length;
    }
    // Every character takes a byte at least, so this one need not be measured.
    if (length > wireLimits.eventBytes) throw eventTooLarge;
    const size = Buffer.byteLength(text);
    this.#ensure(keyBytes + size);
    return size;
  }

  /** Writes a text whose size is known and for which there is room. */
  #writeText(text: string, size: number): void {
    if (size <= shortText && size === text.length) {
      const { bytes } = this;
      let at = this.#at;
      for (let index = 0; index < size; index++) bytes[at++] = text.charCodeAt(index);
      this.#at = at;
      return;
    }
    // As many bytes as characters: ASCII, and that is a plain copy.
    this.bytes.write(text, this.#at, size, size === text.length ? 'latin1' : 'utf8');
    this.#at += size;
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

  #countOrStop(error: unknown): void {
    if (error === eventTooLarge || error instanceof OversizedValue) throw eventTooLarge;
    this.fieldErrors++;
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

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return false;
  }
  return true;
}
