/**
 * What the worker thread does with one sealed segment: read, encode, insert. Concrete stages meet
 * here as they do in collector.ts, for the other thread.
 *
 * Order of a segment's inserts: its producers, its losses, its events. Whoever sees an event can look
 * up its producer, and a number that is missing among the events has its reason already.
 */

import { eventsColumns, SegmentEncoder } from './encode/encode-segment.js';
import {
  jsonEachRow,
  type LedgerRow,
  lossRows,
  producerRows,
  quarantinedLossRows,
  quarantineRows,
  type Refusal,
  receivedDate,
} from './encode/ledger-rows.js';
import { type MessageLimits, messageLimits } from './limits.js';
import type { Producer, SegmentContents } from './record.js';
import type { Batch, BatchInserter, InsertNotices, InsertOutcome } from './store/batch-inserter.js';
import { formatUuid } from './uuid7.js';
import { decodeProducer } from './validate/decode-producer.js';
import type { SealedSegment } from './wal/log.js';
import { segmentFileName } from './wal/segment-name.js';
import { readSegment, segmentContents } from './wal/segment-reader.js';
import type { LogStorage } from './wal/storage.js';

export type CommitOutcome =
  | {
      readonly kind: 'committed';
      readonly events: number;
      readonly losses: number;
      readonly foundCommitted: boolean;
    }
  | { readonly kind: 'quarantined'; readonly events: number; readonly refusal: Refusal }
  /** It cannot be stored in full: what could be read was stored, and the file is kept out of the way. */
  | { readonly kind: 'set_aside'; readonly reason: string }
  | { readonly kind: 'stopped' };

const eventsColumnNames = eventsColumns.map(([name]) => name);
/** Producers that need not be announced again; bounded, because an announcement may be repeated. */
const mostKnownProducers = 100_000;
/** Limits hold at the door: what passed it under other limits must still be read. */
const unlimited: MessageLimits = {
  ...messageLimits,
  producerStringBytes: Number.POSITIVE_INFINITY,
  labelsPerProducer: Number.POSITIVE_INFINITY,
};

/** Commits one segment at a time; make one for each segment that may be on its way. */
export class Committer {
  readonly #storage: LogStorage;
  readonly #inserter: BatchInserter;
  readonly #log: InsertNotices;
  readonly #knownProducers: Set<string>;
  readonly #encoder = new SegmentEncoder();
  #scratch: Buffer = Buffer.alloc(0);

  constructor(options: {
    storage: LogStorage;
    inserter: BatchInserter;
    log: InsertNotices;
    /** Shared by all committers of a process. */
    knownProducers: Set<string>;
  }) {
    this.#storage = options.storage;
    this.#inserter = options.inserter;
    this.#log = options.log;
    this.#knownProducers = options.knownProducers;
  }

  async commit(sealed: SealedSegment): Promise<CommitOutcome> {
    const bytes = await this.#read(sealed);
    const reading = readSegment(bytes, sealed.id);
    const damaged = !reading.sealed;
    const segment = segmentContents(reading, sealed.id, bytes, decodeStored);
    const outcome = await this.#store(segment, sealed.recovered);
    if (outcome.kind !== 'committed' || !damaged) return outcome;
    return {
      kind: 'set_aside',
      reason: `${reading.unreadBytes} bytes behind byte ${reading.soundBytes} do not pass their checksum`,
    };
  }

  async #read(sealed: SealedSegment): Promise<Buffer> {
    if (this.#scratch.length < sealed.bytes) {
      // A little more than asked, so that segments of about one size share one buffer.
      this.#scratch = Buffer.allocUnsafeSlow(Math.ceil((sealed.bytes * 1.25) / 1_048_576) * 1_048_576);
    }
    return this.#storage.read(segmentFileName(sealed.id), this.#scratch);
  }

  async #store(segment: SegmentContents, inDoubt: boolean): Promise<CommitOutcome> {
    const date = receivedDate(segment.id);
    if (inDoubt) {
      const quarantined = await this.#quarantinedBefore(segment.id, date);
      if (quarantined === 'stopped') return { kind: 'stopped' };
      if (quarantined === 'yes') return { kind: 'committed', events: 0, losses: 0, foundCommitted: true };
    }
    const producers = producerRows(segment, (id) => this.#knownProducers.has(id));
    const losses = lossRows(segment);
    for (const [table, rows] of [
      ['producers', producers],
      ['losses', losses],
    ] as const) {
      const outcome = await this.#insertRows(table, segment.id, date, rows, inDoubt);
      if (outcome.kind === 'stopped') return outcome;
      if (outcome.kind === 'refused') return this.#refusedLedger(table, outcome);
    }
    this.#remember(segment.producers);

    const block = this.#encoder.encode(segment);
    if (block.rows === 0)
      return { kind: 'committed', events: 0, losses: losses.length, foundCommitted: false };
    const outcome = await this.#inserter.insert({
      table: 'events',
      format: 'Native',
      columns: eventsColumnNames,
      batchId: segment.id,
      token: segment.id,
      receivedDate: date,
      rows: block.rows,
      body: block.chunks,
      inDoubt,
      idempotent: false,
    });
    if (outcome.kind === 'stopped') return outcome;
    if (outcome.kind === 'refused') return this.#quarantine(segment, date, outcome, inDoubt);
    return {
      kind: 'committed',
      events: block.rows,
      losses: losses.length,
      foundCommitted: outcome.foundCommitted,
    };
  }

  /** Whether an earlier process put this segment into quarantine, and died before it removed the file. */
  async #quarantinedBefore(batchId: string, date: string): Promise<'yes' | 'no' | 'stopped'> {
    return this.#inserter.waitForAnswer({ table: 'quarantine', batchId, receivedDate: date });
  }

  async #quarantine(
    segment: SegmentContents,
    date: string,
    refusal: Refusal,
    inDoubt: boolean,
  ): Promise<CommitOutcome> {
    this.#log.warn(
      { batch: segment.id, code: refusal.code, error: refusal.message.slice(0, 500) },
      'ClickHouse refuses a batch for good; its requests go to quarantine',
    );
    for (const [table, rows, suffix] of [
      ['losses', quarantinedLossRows(segment, refusal), '-quarantined'],
      ['quarantine', quarantineRows(segment, refusal), ''],
    ] as const) {
      const outcome = await this.#insertRows(table, segment.id + suffix, date, rows, inDoubt);
      if (outcome.kind === 'stopped') return outcome;
      if (outcome.kind === 'refused') return this.#refusedLedger(table, outcome);
    }
    return { kind: 'quarantined', events: segment.eventCount, refusal };
  }

  #refusedLedger(table: string, refusal: Refusal): CommitOutcome {
    return {
      kind: 'set_aside',
      reason: `ClickHouse refuses rows of ${table} for good (code ${refusal.code}): ${refusal.message.slice(0, 300)}`,
    };
  }

  async #insertRows(
    table: string,
    batchId: string,
    date: string,
    rows: readonly LedgerRow[],
    inDoubt: boolean,
  ): Promise<InsertOutcome> {
    const first = rows[0];
    if (first === undefined) return { kind: 'stored', tries: 0, foundCommitted: false };
    const batch: Batch = {
      table,
      format: 'JSONEachRow',
      columns: Object.keys(first),
      batchId,
      token: `${batchId}-${table}`,
      receivedDate: date,
      rows: rows.length,
      body: jsonEachRow(rows.map((row) => ({ ...row, batch_id: batchId }))),
      inDoubt,
      idempotent: table === 'producers',
    };
    return this.#inserter.insert(batch);
  }

  #remember(producers: readonly Producer[]): void {
    if (this.#knownProducers.size + producers.length > mostKnownProducers) this.#knownProducers.clear();
    for (const { id } of producers) this.#knownProducers.add(formatUuid(id));
  }
}

/** The door checked these bytes before they went into the log, and their checksum has been checked since. */
function decodeStored(encoded: Buffer): Producer {
  const decoded = decodeProducer(encoded, unlimited);
  if (decoded.kind === 'invalid')
    throw new Error(`the log holds a producer that the door refuses: ${decoded.problem}`);
  return decoded.producer;
}
