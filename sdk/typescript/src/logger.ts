import type { EventEncoder } from './buffer/event-encoder.js';
import type { LossReason } from './buffer/loss.js';
import { makeEncoder } from './buffer/make-encoder.js';
import { RequestBuffer } from './buffer/request-buffer.js';
import type { Clock } from './clock.js';
import type { Deliverer } from './deliverer.js';
import { Delivery } from './delivery.js';
import type { Diagnostics } from './diagnostics.js';
import { EventClock } from './event-clock.js';
import { type EventOptions, type Fields, severityNumber, severityNumbers } from './event-options.js';
import { internalLimits, numberOptions, wireLimits } from './limits.js';
import type { Settings } from './options.js';
import { type Exiting, forgetExit } from './process-exit.js';
import type { LoggerSpool } from './spool/logger-spool.js';
import type { Transport } from './transport/transport.js';

export interface FlushResult {
  /** Whether everything logged before the call is acknowledged: on the collector's disk, or counted there as lost. */
  readonly acknowledged: boolean;
  /** Events that are not acknowledged at the moment. */
  readonly pending: number;
  /** How many of these lie in the spool's file, where they survive the process; after `close()`, and after `flush()`
   *  in offline mode, a power loss too. Absent without a spool directory. */
  readonly spooled?: number;
}

export interface LoggerStats {
  /** Log calls. Always equal to `acknowledged` + the sum of `dropped` + `bufferedEvents`. */
  readonly logged: number;
  /** Events on the collector's disk (rejected ones included: they are handled, and recorded there). */
  readonly acknowledged: number;
  /** Events that were not and will not be delivered, by reason. */
  readonly dropped: Readonly<Record<LossReason, number>>;
  /** Fields and options that were left out because they cannot be encoded or break a limit. */
  readonly fieldErrors: number;
  /** Encoded bytes in memory. */
  readonly bufferedBytes: number;
  /** Events that are not acknowledged, in memory or in the spool. */
  readonly bufferedEvents: number;
  /** Those of them that are in the spool's file. Without a spool directory: 0. */
  readonly spooledEvents: number;
  /** Bytes of the spool's files. */
  readonly spooledBytes: number;
  /** Calls made to the collector. */
  readonly calls: number;
  /** Requests that were sent again after a failure. */
  readonly resends: number;
  /** Events that the collector rejected for breaking a limit; it names at most 1,000 a call. */
  readonly rejected: number;
  /** Sequence numbers that the collector had already when they came again. */
  readonly duplicates: number;
  /** The last failed call, in words. */
  readonly lastError: string | undefined;
}

/**
 * Logs events to a collector. Made by `createLogger`.
 *
 * No method throws or blocks, whatever its arguments and whatever the collector does. A log call encodes its
 * event and returns; everything may be called at any time, also while `flush` or `close` are running. A logger
 * belongs to its process and its thread: every worker thread and every child process makes its own.
 */
export interface Logger {
  /** This logger's id, a UUIDv7 in its usual text form; `producer_id` in the tables. */
  readonly producerId: string;
  /** The run that its events belong to; `run_id` in the tables. */
  readonly run: string;

  /**
   * Logs one event. Numbers in `fields` become metrics, everything else attributes: text as it is, booleans
   * as "true" and "false", dates in ISO 8601, errors as their stack, lists and objects as JSON. A field that is
   * null or undefined is left out.
   */
  event(name: string, fields?: Fields, options?: EventOptions): void;

  /** Logs text for people, as an event named "log" of severity 5, 9, 13 or 17. */
  debug(body: string, fields?: Fields, options?: EventOptions): void;
  info(body: string, fields?: Fields, options?: EventOptions): void;
  warn(body: string, fields?: Fields, options?: EventOptions): void;
  error(body: string, fields?: Fields, options?: EventOptions): void;

  /** Sends everything and resolves once all that was logged before is acknowledged, or at the deadline (default
   *  `flushTimeoutMs`, 30 s). The collector commits it at once instead of waiting for more, so that it shows in SQL a
   *  moment later. In offline mode, resolves once all of it is on the disk. Never rejects. */
  flush(options?: { readonly timeoutMs?: number | undefined }): Promise<FlushResult>;

  /** Flushes until the deadline (default `closeTimeoutMs`, 5 s) and stops. What is left stays in the spool, if there
   *  is one, or else is counted as lost (`closed`), and so is what is logged from now on, which is said once. Called
   *  again, it returns the same promise. Never rejects. */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<FlushResult>;

  /** The counters of this moment. */
  stats(): LoggerStats;
}

export class SluiceLogger implements Logger, Exiting {
  readonly producerId: string;
  readonly run: string;

  readonly #settings: Settings;
  readonly #diagnostics: Diagnostics;
  readonly #encoder: EventEncoder;
  readonly #buffer: RequestBuffer;
  readonly #delivery: Deliverer;
  readonly #spool: LoggerSpool | undefined;
  #isEncoding = false;
  #closing: Promise<FlushResult> | undefined;
  #isClosedByProgram = false;
  #isLatenessTold = false;
  #isStopped = false;
  /** The largest number that a flush found acknowledged with all before it. */
  #acknowledgedThrough = 0;

  constructor(parts: {
    settings: Settings;
    producerId: string;
    /** The producer field that goes in front of requests. */
    producer: Uint8Array;
    clock: Clock;
    transport: Transport;
    diagnostics: Diagnostics;
    /** Where undelivered requests go; without it they stay in memory. */
    spool?: LoggerSpool;
    random?: () => number;
    isEnding?: () => boolean;
  }) {
    const { settings, clock, diagnostics, transport, producer } = parts;
    this.producerId = parts.producerId;
    this.run = settings.run;
    this.#settings = settings;
    this.#diagnostics = diagnostics;
    this.#encoder = makeEncoder(settings, new EventClock(clock));
    const deliveryOf = (buffer: RequestBuffer): Delivery =>
      new Delivery({
        settings: { ...settings, endpoint: settings.endpoint.target },
        buffer,
        producer,
        transport,
        clock,
        diagnostics,
        ...(parts.random && { random: parts.random }),
        ...(parts.isEnding && { isEnding: parts.isEnding }),
      });
    this.#spool = parts.spool;
    if (this.#spool === undefined) {
      const { keptRequestBytes } = internalLimits;
      this.#buffer = new RequestBuffer(settings, this.#encoder, producer, clock, keptRequestBytes);
      this.#delivery = deliveryOf(this.#buffer);
    } else {
      ({ buffer: this.#buffer, delivery: this.#delivery } = this.#spool.connect({
        encoder: this.#encoder,
        // Offline, there is no one to deliver to.
        deliveryOf: settings.mode === 'offline' ? undefined : deliveryOf,
      }));
    }
  }

  event(name: string, fields?: Fields, options?: EventOptions): void {
    this.#log(name, severityNumbers.info, undefined, fields, options);
  }

  debug(body: string, fields?: Fields, options?: EventOptions): void {
    this.#log(undefined, severityNumbers.debug, body, fields, options);
  }

  info(body: string, fields?: Fields, options?: EventOptions): void {
    this.#log(undefined, severityNumbers.info, body, fields, options);
  }

  warn(body: string, fields?: Fields, options?: EventOptions): void {
    this.#log(undefined, severityNumbers.warn, body, fields, options);
  }

  error(body: string, fields?: Fields, options?: EventOptions): void {
    this.#log(undefined, severityNumbers.error, body, fields, options);
  }

  async flush(options?: { readonly timeoutMs?: number | undefined }): Promise<FlushResult> {
    return this.#flush(timeoutOf(options) ?? this.#settings.flushTimeoutMs);
  }

  close(options?: { readonly timeoutMs?: number | undefined }): Promise<FlushResult> {
    this.#isClosedByProgram = true;
    return this.#closeOnce(timeoutOf(options) ?? this.#settings.closeTimeoutMs);
  }

  stats(): LoggerStats {
    const { logged, acknowledged, dropped, bufferedBytes, bufferedEvents, spooledEvents } = this.#buffer;
    return {
      logged,
      acknowledged,
      dropped: { ...dropped },
      fieldErrors: this.#encoder.fieldErrors,
      bufferedBytes,
      bufferedEvents,
      spooledEvents,
      spooledBytes: this.#spool?.bytes ?? 0,
      ...this.#delivery.counts,
    };
  }

  get pending(): number {
    return this.#isStopped ? 0 : this.#buffer.pending;
  }

  async finish(): Promise<void> {
    const { acknowledged } = await this.#flush(this.#settings.exitTimeoutMs);
    // Not again and again: a process whose collector is gone has to end.
    if (!acknowledged) await this.#closeOnce(0);
  }

  abandon(): void {
    const when = 'the process ended (call and await close() before process.exit() and on signals)';
    if (this.#spool === undefined) {
      this.#reportUndelivered(when);
      return;
    }
    const { bufferedEvents } = this.#buffer;
    this.#spool.finishSync();
    this.#reportSpooled('the process ended', bufferedEvents);
  }

  tidy(): void {
    if (!this.#isStopped) this.#spool?.releaseSync();
  }

  #log(
    name: string | undefined,
    level: number,
    body: string | undefined,
    fields: Fields | undefined,
    options: EventOptions | undefined,
  ): void {
    try {
      if (this.#closing !== undefined) {
        this.#drop('closed');
        this.#tellLateness(name);
      }
      // A getter or toJSON of a field that logs would write into the middle of the event it belongs to.
      else if (this.#isEncoding) this.#drop('encoding');
      else this.#encode(name, level, body, fields, options);
    } catch (error) {
      this.#drop('encoding');
      this.#diagnostics.report(
        'encoding',
        () => `an event could not be encoded and is lost: ${describe(error)}`,
      );
    }
  }

  #encode(
    name: string | undefined,
    level: number,
    body: string | undefined,
    fields: Fields | undefined,
    options: EventOptions | undefined,
  ): void {
    const errorsBefore = this.#encoder.fieldErrors;
    let severity = level;
    this.#isEncoding = true;
    try {
      const given = typeof options === 'object' && options !== null ? options : undefined;
      if (given === undefined && options !== undefined && options !== null) this.#encoder.fieldErrors++;
      if (given?.severity !== undefined) {
        const number = severityNumber(given.severity);
        if (number === undefined) this.#encoder.fieldErrors++;
        else severity = number;
      }
      if (this.#buffer.isClosedTo(severity)) {
        this.#drop('buffer_full');
        return;
      }
      if (this.#encoder.write(name, severity, body ?? given?.body, fields, given) === 'too_large') {
        this.#drop('too_large');
        return;
      }
    } finally {
      this.#isEncoding = false;
    }
    switch (this.#buffer.add(severity)) {
      case 'kept':
        break;
      case 'first':
        this.#delivery.noticeOpen();
        break;
      case 'sealed':
        this.#delivery.noticeSealed();
        break;
      case 'dropped':
        this.#noticeDrop('buffer_full');
        break;
    }
    // Last, because whoever is told may log to another logger.
    if (this.#encoder.fieldErrors !== errorsBefore) this.#reportField(name);
  }

  #drop(reason: LossReason): void {
    this.#buffer.drop(reason);
    this.#noticeDrop(reason);
  }

  #noticeDrop(reason: LossReason): void {
    // The loss itself has to be delivered.
    this.#delivery.noticeOpen();
    if (reason === 'buffer_full') {
      const error = this.#delivery.counts.lastError;
      const because =
        error === undefined ? 'faster than it is sent' : `and the collector does not take it: ${error}`;
      this.#diagnostics.report(
        'buffer_full',
        () =>
          `events are dropped: ${this.#buffer.bufferedBytes} of ${this.#settings.bufferBytes} bytes are logged ` +
          `(bufferBytes) ${because}`,
      );
    } else if (reason === 'too_large') {
      this.#diagnostics.report(
        'too_large',
        () =>
          `an event is larger than ${wireLimits.eventBytes} bytes and lost; log large data elsewhere and its place here`,
      );
    }
  }

  #reportField(name: string | undefined): void {
    this.#diagnostics.report(
      'encoding',
      () =>
        `event ${JSON.stringify(String(name ?? 'log').slice(0, 100))} has a field, a name or an option that cannot be ` +
        'encoded or breaks a limit; it was left out or cut, and is counted in stats().fieldErrors',
    );
  }

  async #flush(timeoutMs: number): Promise<FlushResult> {
    const target = this.#buffer.logged;
    const { bufferedEvents: pending } = this.#buffer;
    if (this.#isStopped) return this.#result(target <= this.#acknowledgedThrough, pending);
    const acknowledged = await this.#delivery.waitFor(target, timeoutMs);
    if (acknowledged) this.#acknowledgedThrough = Math.max(this.#acknowledgedThrough, target);
    return this.#result(acknowledged, this.#buffer.bufferedEvents);
  }

  #result(acknowledged: boolean, pending: number): FlushResult {
    const spooled = this.#spool && { spooled: this.#buffer.spooledEvents };
    return { acknowledged, pending, ...spooled };
  }

  #closeOnce(timeoutMs: number): Promise<FlushResult> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  /** Says once that somebody logs after `close`. Not when the process ends: that is nobody's mistake. */
  #tellLateness(name: string | undefined): void {
    if (!this.#isClosedByProgram || this.#isLatenessTold) return;
    this.#isLatenessTold = true;
    const event = JSON.stringify(typeof name === 'string' ? name.slice(0, 100) : 'log');
    this.#diagnostics.report(
      'closed',
      () =>
        `event ${event} of run ${this.run} was logged after close() and is lost, as is all that follows (stats().dropped.closed); close the logger after the last event, or make a new one with createLogger()`,
    );
  }

  async #close(timeoutMs: number): Promise<FlushResult> {
    const result = await this.#flush(timeoutMs);
    if (result.acknowledged) await this.#delivery.marked(Math.min(timeoutMs, internalLimits.flushMarkMs));
    const when = timeoutMs > 0 ? `the logger was closed after ${timeoutMs} ms` : 'the process ended';
    if (this.#spool !== undefined) return this.#closeWithSpool(this.#spool, result, when);
    // Not `pending`, which counts events: losses may be left alone.
    if (!result.acknowledged) this.#reportUndelivered(when);
    this.#isStopped = true;
    this.#delivery.stop();
    this.#buffer.close();
    forgetExit(this);
    return result;
  }

  async #closeWithSpool(spool: LoggerSpool, flushed: FlushResult, when: string): Promise<FlushResult> {
    this.#delivery.stop();
    const { bufferedEvents } = this.#buffer;
    if (flushed.acknowledged) {
      this.#isStopped = true;
      this.#buffer.close();
      await spool.release();
    } else {
      await spool.finish();
      this.#isStopped = true;
      this.#reportSpooled(when, bufferedEvents);
    }
    forgetExit(this);
    return this.#result(flushed.acknowledged, bufferedEvents);
  }

  /** `pending` events were left, some of which may be lost by now. */
  #reportSpooled(when: string, pending: number): void {
    const error = this.#delivery.counts.lastError;
    const because = error === undefined ? '' : `; last error: ${error}`;
    const { spooledEvents } = this.#buffer;
    const lost = pending - spooledEvents;
    if (lost > 0) {
      this.#diagnostics.report(
        'undelivered',
        () =>
          `${lost} events of run ${this.run} were not acknowledged when ${when}, and could not be spooled to ` +
          `${this.#settings.spoolDir} (spoolBytes is ${this.#settings.spoolBytes})${because}`,
      );
    }
    if (!this.#spool?.isLeft) return;
    const { mode, spoolDir } = this.#settings;
    const command = `npx sluice sync ${shellWord(spoolDir ?? '')}`;
    this.#diagnostics.report('spooled', () =>
      mode === 'offline'
        ? `${spooledEvents} events of run ${this.run} are in the spool (mode is offline); deliver them with: ${command}`
        : `${spooledEvents} events of run ${this.run} were not acknowledged when ${when} and are in the spool${because}; ` +
          `the next logger with that directory delivers them, or: ${command}`,
    );
  }

  #reportUndelivered(when: string): void {
    const error = this.#delivery.counts.lastError;
    const { bufferedEvents, pending } = this.#buffer;
    const losses = pending - bufferedEvents;
    const andLosses = losses > 0 ? ` and ${losses} losses` : '';
    this.#diagnostics.report(
      'undelivered',
      () =>
        `${bufferedEvents} events${andLosses} of run ${this.run} were not acknowledged when ${when}` +
        (error === undefined ? '' : `; last error: ${error}`),
    );
  }
}

/** As it has to be typed. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function timeoutOf(options: { readonly timeoutMs?: number | undefined } | undefined): number | undefined {
  const timeoutMs: unknown = options?.timeoutMs;
  const { min, max } = numberOptions.flushTimeoutMs;
  return typeof timeoutMs === 'number' && timeoutMs >= min ? Math.min(timeoutMs, max) : undefined;
}

/** What was thrown, which may be anything, even something that throws when it is looked at. */
function describe(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'something that has no text was thrown';
  }
}
