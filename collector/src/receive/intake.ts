/**
 * One received message on its way into the log: scan, judge the sequence, append.
 *
 * Invariants:
 * 1. A call belongs to one producer, named in its first message.
 * 2. A refused message leaves nothing behind; what the call brought before it stays appended.
 * 3. A call that began before a failure of the log is never acknowledged after it.
 * 4. Nothing is judged, let alone appended, of a producer that another worker may be appending.
 */
import { isPlanted } from '../fault-points.js';
import type { MessageLimits } from '../limits.js';
import type { Rejection } from '../record.js';
import { decodeProducer } from '../validate/decode-producer.js';
import { scanRequest } from '../validate/scan-request.js';
import { judgeSequence } from '../validate/sequence-rules.js';
import type { WriteAheadLog } from '../wal/log.js';
import { handedOver, type Ownership, ownsAll } from './ownership.js';

/** Why a call ends without an acknowledgment. */
export type Refusal =
  | { readonly kind: 'invalid'; readonly message: string }
  | { readonly kind: 'out_of_sequence'; readonly message: string; readonly expectedSequence: number }
  | { readonly kind: 'too_large'; readonly message: string }
  | { readonly kind: 'overloaded'; readonly message: string; readonly retryDelayMs: number }
  | { readonly kind: 'unavailable'; readonly message: string; readonly retryDelayMs: number };

export interface Acknowledgment {
  readonly durableSequence: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejections: readonly Rejection[];
}

/** What one call has brought so far. */
export class CallIntake {
  readonly #log: WriteAheadLog;
  readonly #limits: MessageLimits;
  readonly #now: () => number;
  readonly #released: (message: Buffer) => void;
  readonly #generation: number;
  readonly #ownership: Ownership;
  #producer: { readonly key: string; readonly encoded: Buffer } | undefined;
  #accepted = 0;
  #duplicates = 0;
  #rejections: Rejection[] = [];
  #isFlush = false;

  constructor(
    log: WriteAheadLog,
    limits: MessageLimits,
    now: () => number,
    {
      ownership = ownsAll,
      released = () => undefined,
    }: {
      ownership?: Ownership;
      /** Takes a message that was taken, when it is not needed any more. */
      released?: (message: Buffer) => void;
    } = {},
  ) {
    this.#log = log;
    this.#limits = limits;
    this.#now = now;
    this.#released = released;
    this.#generation = log.generation;
    this.#ownership = ownership;
  }

  /** Whose call it is; undefined before its first message. */
  get producerKey(): string | undefined {
    return this.#producer?.key;
  }

  /** Takes one message, which must stay unchanged until it is released. Returns why not, if not. */
  take(message: Buffer): Refusal | undefined {
    const scan = scanRequest(message, this.#limits);
    if (scan.kind === 'invalid') return { kind: 'invalid', message: scan.problem };
    if (this.#isInterrupted()) return interrupted;
    if (this.#producer === undefined) {
      if (scan.producer === null) {
        return {
          kind: 'invalid',
          message: 'the call names no producer; the first message of a call must carry LogRequest.producer',
        };
      }
      if (scan.producer.length > this.#limits.producerBytes) {
        return {
          kind: 'invalid',
          message: `the producer has ${scan.producer.length} bytes; at most ${this.#limits.producerBytes} are allowed`,
        };
      }
      const decoded = decodeProducer(scan.producer, this.#limits);
      if (decoded.kind === 'invalid') return { kind: 'invalid', message: decoded.problem };
      this.#producer = { key: decoded.producer.id.toString('latin1'), encoded: unpooled(scan.producer) };
    }
    if (!this.#ownership.owns(this.#producer.key)) return handedOver;
    if (scan.flush) this.#isFlush = true;
    const count = scan.lastSequence - scan.firstSequence + 1;
    if (count === 0) return undefined;

    const producer = this.#producer;
    const appended = this.#log.appendedOf(producer.key);
    const verdict = judgeSequence(appended, scan.firstSequence, scan.lastSequence);
    const isHole = scan.firstSequence > appended + 1;
    if (verdict.kind === 'refuse' && !(isHole && isPlanted('accept-hole'))) {
      return {
        kind: 'out_of_sequence',
        message: `the request holds sequences ${scan.firstSequence} to ${scan.lastSequence}; the log has this producer's up to ${appended}, so the next must start at ${verdict.expectedSequence}`,
        expectedSequence: verdict.expectedSequence,
      };
    }
    if (verdict.kind === 'duplicate') {
      this.#duplicates += count;
      return undefined;
    }
    const admission = this.#log.admission(message.length, producer.key);
    switch (admission.kind) {
      case 'open':
        break;
      case 'disk_budget_spent':
        return {
          kind: 'overloaded',
          message: `the write-ahead log holds ${admission.usedBytes} bytes, its budget wal.diskBytes is spent; it empties when the store takes inserts again`,
          retryDelayMs: admission.retryDelayMs,
        };
      case 'too_many_producers':
        return {
          kind: 'overloaded',
          message: `the log remembers ${admission.producers} producers, as many as wal.producers allows; a new one finds room when an old one has been silent for wal.producerIdleMs`,
          retryDelayMs: admission.retryDelayMs,
        };
      case 'failing':
        return {
          kind: 'unavailable',
          message: `the write-ahead log cannot be written: ${admission.problem}`,
          retryDelayMs: admission.retryDelayMs,
        };
      case 'stopped':
        return { kind: 'unavailable', message: 'the collector is stopping', retryDelayMs: 0 };
    }
    this.#log.append(
      producer,
      {
        receivedUnixMs: this.#now(),
        firstSequence: scan.firstSequence,
        lastSequence: scan.lastSequence,
        eventCount: scan.eventCount,
        lossCount: scan.lossCount,
        ledgerRows: scan.losses.length + scan.rejections.length,
        expansionBytes: scan.expansionBytes,
        rejections: scan.rejections,
      },
      message,
      this.#released,
    );
    this.#accepted += count;
    if (this.#rejections.length < this.#limits.rejectionsPerResponse) {
      this.#rejections.push(
        ...scan.rejections.slice(0, this.#limits.rejectionsPerResponse - this.#rejections.length),
      );
    }
    return undefined;
  }

  /**
   * What to tell a client whose request does not follow on. Waits for the disk first: a client may
   * take the sequence it is told as an acknowledgment of everything before it.
   */
  async settle(refusal: Refusal): Promise<Refusal> {
    if (refusal.kind !== 'out_of_sequence' || this.#producer === undefined) return refusal;
    await this.#log.synced();
    return { ...refusal, expectedSequence: this.#log.durableOf(this.#producer.key) + 1 };
  }

  /** Waits until everything the call brought, the duplicates included, is on the disk. */
  async acknowledge(): Promise<Acknowledgment | Refusal> {
    if (this.#producer === undefined) {
      return {
        kind: 'invalid',
        message: 'the call carried no message; it must carry at least one LogRequest with a producer',
      };
    }
    const outcome = await this.#log.synced();
    if (outcome === 'failed' || this.#isInterrupted()) return interrupted;
    if (this.#isFlush) this.#log.sealFor(this.#producer.key);
    return {
      durableSequence: this.#log.durableOf(this.#producer.key),
      accepted: this.#accepted,
      duplicates: this.#duplicates,
      rejections: this.#rejections,
    };
  }

  #isInterrupted(): boolean {
    return this.#log.generation !== this.#generation && !isPlanted('acknowledge-after-failure');
  }
}

/** A copy that shares no memory: the log keeps a producer for a day, and a small Buffer keeps the 8 KiB it was cut from. */
function unpooled(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

const interrupted: Refusal = {
  kind: 'unavailable',
  message: 'the write-ahead log failed during this call; send its requests again',
  retryDelayMs: 1000,
};
