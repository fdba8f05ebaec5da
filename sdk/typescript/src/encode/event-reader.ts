import type { EventClock } from '../event-clock.js';
import { wireLimits } from '../limits.js';
import type { EncodedKey } from './encoded-texts.js';
import { nanosOf } from './protobuf.js';
import { type KnownName, parts, type Shape, Shapes } from './shape.js';
import { attributeText, errorText, OversizedValue } from './value.js';

/**
 * Reads what a log call was given, by the rules for names, fields and options, and holds it until it is encoded.
 * One event at a time, in arrays that are used again for the next, whoever logs it: what one logger's call has left in
 * the processor's caches serves the next logger's. Only while a field's getter logs to another logger are there two.
 *
 * Invariants:
 * 1. A field that cannot be encoded costs itself and is counted in `fieldErrors`; only a size beyond the limit costs
 *    the event.
 * 2. What is held has a shape: `values` and `texts` are those of its metrics and attributes, in their order, and no
 *    key comes twice in either.
 *
 * An event mostly has the keys of the last one of its name. They are compared with those while they are read, and
 * looked up one by one only from the first that differs.
 */

/** The largest bigint that is a metric: beyond, a double loses digits. */
const maxMetric = 2 ** 53;
const maxTimeMs = 2 ** 63 / 1e6;
/** Faster than Object.hasOwn, which the compiler does not know within for…in. */
const hasOwn = Object.prototype.hasOwnProperty;

/** `options` is what the caller gave: nothing about it is certain but that it is an object. */
export interface WriterOptions {
  readonly step?: unknown;
  readonly time?: unknown;
  readonly traceId?: unknown;
  readonly spanId?: unknown;
}

class EventTooLarge extends Error {}
/** Thrown for an event beyond the limit, once and for all, because making a stack costs more than an event. */
export const eventTooLarge = new EventTooLarge('event too large');

const noKeys: readonly (string | undefined)[] = [];

const shapes = new Shapes();

export class EventReader {
  /** Whether it is in the middle of an event: a getter of its fields may log meanwhile. */
  isReading = false;
  /** Of the event that was read last: fields left out, a name that was cut, and ignored options. */
  fieldErrors = 0;
  /** The time since 1970: whole milliseconds, and nanoseconds beyond them. Both are exact, and cheap to subtract. */
  timeMs = 0;
  timeNanos = 0;
  /** Empty if the event has none, as its shape says. */
  body = '';
  /** A safe integer or a bigint of 64 bits. */
  step: number | bigint = 0;
  readonly values = new Float64Array(wireLimits.keysPerEvent);
  readonly texts: string[] = [];
  traceId: Uint8Array | undefined;
  spanId: Uint8Array | undefined;

  /** Whether there is an event that was not forgotten. */
  #isHolding = false;
  /** The shape of the last event of the name, when this one was begun: a getter may log to a logger that has another. */
  #expected: Shape | undefined;
  /** Whether all keys until now are those of the shape that is expected. If not, they are in the lists below. */
  #isExpected = true;
  readonly #metricKeys: EncodedKey[] = [];
  readonly #attributeKeys: EncodedKey[] = [];
  #metrics = 0;
  #attributes = 0;
  /** Keys that were taken, those included whose value turned out to have no text. */
  #keyCount = 0;
  #mayRepeat = false;

  /** Returns the event's shape. Throws `eventTooLarge`, or what the caller's getters throw. */
  read(
    clock: EventClock,
    name: unknown,
    body: unknown,
    fields: unknown,
    options: WriterOptions | undefined,
  ): Shape {
    this.#begin();
    const time = options?.time;
    if (time === undefined || !this.#readTime(time)) this.#takeTime(clock.nowMs());
    const known = this.#readName(name);
    const { expected } = known;
    this.#expected = expected;
    this.#isExpected = expected !== undefined;
    this.#keyCount = 0;
    this.#metrics = 0;
    this.#attributes = 0;
    let given = 0;
    if (body !== undefined && body !== '' && this.#readBody(body)) given += parts.body;
    const step = options?.step;
    if (step !== undefined && step !== null && this.#readStep(step)) given += parts.step;
    if (typeof fields === 'object' && fields !== null) this.#readFields(fields as Record<string, unknown>);
    else if (fields !== undefined && fields !== null) this.fieldErrors++;
    if (options !== undefined) {
      const { traceId, spanId } = options;
      if (traceId !== undefined && traceId !== null) {
        this.traceId = this.#idOf(traceId, 16);
        if (this.traceId !== undefined) given += parts.traceId;
      }
      if (spanId !== undefined && spanId !== null) {
        this.spanId = this.#idOf(spanId, 8);
        if (this.spanId !== undefined) given += parts.spanId;
      }
    }
    if (
      this.#isExpected &&
      expected !== undefined &&
      expected.parts === given &&
      expected.metrics.length === this.#metrics &&
      expected.attributes.length === this.#attributes
    ) {
      this.isReading = false;
      return expected;
    }
    this.isReading = false;
    return this.#find(known, given);
  }

  /** So that the caller's texts do not live on here. To be called when the event is encoded or given up, and if `read`
   *  has thrown; an event that was neither is forgotten with the next. */
  forget(): void {
    this.isReading = false;
    this.#isHolding = false;
    const { texts } = this;
    for (let index = 0; index < this.#attributes; index++) texts[index] = '';
    this.body = '';
    this.traceId = undefined;
    this.spanId = undefined;
  }

  #begin(): void {
    if (this.#isHolding) this.forget();
    this.#isHolding = true;
    this.isReading = true;
    this.fieldErrors = 0;
  }

  /** Says whether it is one; null is none. */
  #readTime(time: unknown): boolean {
    if (typeof time === 'bigint' && time > 0n && time < 2n ** 63n) {
      this.timeMs = Number(time / 1_000_000n);
      this.timeNanos = Number(time % 1_000_000n);
      return true;
    }
    const ms = time instanceof Date ? time.getTime() : time;
    if (typeof ms === 'number' && ms > 0 && ms < maxTimeMs) {
      this.#takeTime(ms);
      return true;
    }
    if (time !== null) this.fieldErrors++;
    return false;
  }

  #takeTime(ms: number): void {
    const whole = Math.floor(ms);
    this.timeMs = whole;
    this.timeNanos = nanosOf(ms, whole);
  }

  #readName(name: unknown): KnownName {
    if (typeof name !== 'string' && name !== undefined && name !== null) this.fieldErrors++;
    const known = shapes.name(typeof name === 'string' ? name : '');
    if (known.encoded.cut) this.fieldErrors++;
    return known;
  }

  /** Says whether there is one. */
  #readBody(body: unknown): boolean {
    const text = typeof body === 'string' ? body : this.#textOf(body);
    if (text === undefined || text === '') return false;
    if (text.length > wireLimits.eventBytes) throw eventTooLarge;
    this.body = text;
    return true;
  }

  #readStep(step: unknown): boolean {
    if (
      (typeof step === 'number' && Number.isSafeInteger(step)) ||
      (typeof step === 'bigint' && BigInt.asIntN(64, step) === step)
    ) {
      this.step = step;
      return true;
    }
    this.fieldErrors++;
    return false;
  }

  #readFields(fields: Record<string, unknown>): void {
    const { values, texts } = this;
    const expected = this.#expected;
    const metricKeys = expected?.metricKeys ?? noKeys;
    const attributeKeys = expected?.attributeKeys ?? noKeys;
    let metrics = 0;
    let attributes = 0;
    let textUnits = this.body.length;
    let isExpected = this.#isExpected;
    try {
      for (const key in fields) {
        if (!hasOwn.call(fields, key)) continue;
        let value: unknown;
        try {
          value = fields[key];
        } catch {
          this.fieldErrors++;
          continue;
        }
        if (
          typeof value !== 'number' &&
          typeof value === 'bigint' &&
          value <= maxMetric &&
          value >= -maxMetric
        )
          value = Number(value);
        // A number is a double already, so a metric holds all of it, a loss that diverges to 1e20 included.
        if (typeof value === 'number') {
          if (!isExpected || metricKeys[metrics] !== key) {
            isExpected = false;
            const admitted = this.#admit(key, metrics, attributes);
            if (admitted === undefined) continue;
            this.#metricKeys[metrics] = admitted;
          }
          values[metrics++] = value;
        } else if (value !== undefined && value !== null) {
          if (!isExpected || attributeKeys[attributes] !== key) {
            isExpected = false;
            const admitted = this.#admit(key, metrics, attributes);
            if (admitted === undefined) continue;
            this.#attributeKeys[attributes] = admitted;
          }
          const text = typeof value === 'string' ? value : this.#textOf(value);
          if (text === undefined) {
            isExpected = false;
            this.#leaveOut(metrics, attributes);
            continue;
          }
          textUnits += text.length;
          texts[attributes++] = text;
          // Every character takes a byte at least, so these need not be measured.
          if (textUnits > wireLimits.eventBytes) throw eventTooLarge;
        }
      }
      // An error in place of the fields is a common slip; its own keys do not say what happened.
      if (fields instanceof Error) {
        const text = errorText(fields);
        const admitted = this.#admit('error', metrics, attributes);
        if (admitted !== undefined) {
          this.#attributeKeys[attributes] = admitted;
          texts[attributes++] = text;
          this.#mayRepeat = true;
        }
      }
    } catch (error) {
      // A Proxy that refuses to say which keys it has: what was read until then is kept.
      this.#metrics = metrics;
      this.#attributes = attributes;
      this.#countOrStop(error);
    }
    this.#metrics = metrics;
    this.#attributes = attributes;
  }

  /** Looks up a key that was not expected. Undefined for one that is left out. */
  #admit(key: string, metrics: number, attributes: number): EncodedKey | undefined {
    this.#diverge(metrics, attributes);
    const encoded = shapes.key(key);
    if (encoded === undefined || this.#keyCount === wireLimits.keysPerEvent) {
      this.fieldErrors++;
      return undefined;
    }
    this.#keyCount++;
    // Lone surrogates: what is sent may be equal to another key.
    if (encoded.text !== key) this.#mayRepeat = true;
    return encoded;
  }

  /** A value that has no text after all, whose key was taken. */
  #leaveOut(metrics: number, attributes: number): void {
    if (!this.#isExpected) return;
    this.#diverge(metrics, attributes);
    this.#keyCount++;
  }

  /** From here on the keys are in this reader's own lists. */
  #diverge(metrics: number, attributes: number): void {
    if (!this.#isExpected) return;
    const expected = this.#expected;
    this.#isExpected = false;
    if (expected === undefined) return;
    for (let index = 0; index < metrics; index++) this.#metricKeys[index] = expected.metrics[index]!;
    for (let index = 0; index < attributes; index++) this.#attributeKeys[index] = expected.attributes[index]!;
    this.#keyCount = metrics + attributes;
  }

  #find(known: KnownName, given: number): Shape {
    this.#diverge(this.#metrics, this.#attributes);
    if (this.#mayRepeat) this.#keepLast();
    known.expected = shapes.find({
      name: known.encoded,
      metrics: this.#metricKeys,
      metricCount: this.#metrics,
      attributes: this.#attributeKeys,
      attributeCount: this.#attributes,
      parts: given,
    });
    return known.expected;
  }

  /** Of a key that comes twice, the last value stays, in the place of the first. */
  #keepLast(): void {
    this.#mayRepeat = false;
    this.#metrics = withoutRepeats(this.#metricKeys, this.values, this.#metrics);
    const attributes = this.#attributes;
    this.#attributes = withoutRepeats(this.#attributeKeys, this.texts, attributes);
    this.texts.fill('', this.#attributes, attributes);
  }

  #idOf(id: unknown, size: number): Uint8Array | undefined {
    let bytes: Uint8Array | undefined;
    if (typeof id === 'string' && id.length === size * 2) bytes = Buffer.from(id, 'hex');
    else if (id instanceof Uint8Array) bytes = id;
    if (bytes?.length === size) return bytes;
    this.fieldErrors++;
    return undefined;
  }

  #textOf(value: unknown): string | undefined {
    try {
      return attributeText(value);
    } catch (error) {
      this.#countOrStop(error);
      return undefined;
    }
  }

  #countOrStop(error: unknown): void {
    if (error === eventTooLarge || error instanceof OversizedValue) throw eventTooLarge;
    this.fieldErrors++;
  }
}

function withoutRepeats(keys: EncodedKey[], values: { [index: number]: unknown }, count: number): number {
  const places = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const key = keys[index]!;
    let place = places.get(key.text);
    if (place === undefined) {
      place = places.size;
      places.set(key.text, place);
      keys[place] = key;
    }
    values[place] = values[index];
  }
  return places.size;
}

const shared = new EventReader();

/** The reader of all loggers. Its event is one log call's: what is not encoded when the next one comes never will be. */
export function eventReader(): EventReader {
  return shared.isReading ? new EventReader() : shared;
}
