/**
 * What the worker thread does with one sealed segment: read, encode, insert. Concrete stages meet
 * here as they do in collector.ts, for the other thread.
 *
 * Order of a segment's inserts: its producers, its losses, its events. Whoever sees an event can look
 * up its producer, and a number that is missing among the events has its reason already.
 */

import { type EncodedBlock, eventsColumns, type SegmentEncoder } from './encode/encode-segment.js';
import {
  jsonEachRow,
  type LedgerRow,
  ledgerColumns,
  lossRows,
  producerRows,
  quarantinedLossRows,
  quarantineRows,
  type Refusal,
  receivedDate,
} from './encode/ledger-rows.js';
import type { SegmentContents } from './record.js';
import type { SegmentSource } from './segment-source.js';
import type { Batch, BatchInserter, InsertNotices, InsertOutcome } from './store/batch-inserter.js';
import { formatUuid } from './uuid7.js';
import type { SealedSegment } from './wal/log.js';

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
/** Everything that a segment brings, free of the segment's bytes. */
interface Prepared {
  readonly damage: string;
  readonly producerIds: readonly string[];
  readonly producers: readonly LedgerRow[];
  readonly losses: readonly LedgerRow[];
  readonly block: EncodedBlock;
}

/** Commits one segment at a time; make one for each segment that may be on its way. */
export class Committer {
  readonly #source: SegmentSource;
  readonly #inserter: BatchInserter;
  readonly #log: InsertNotices;
  readonly #knownProducers: Set<string>;
  readonly #encoder: SegmentEncoder;

  constructor(options: {
    /** Shared by all committers of a process, as is `knownProducers`. */
    source: SegmentSource;
    encoder: SegmentEncoder;
    inserter: BatchInserter;
    log: InsertNotices;
    knownProducers: Set<string>;
  }) {
    this.#source = options.source;
    this.#encoder = options.encoder;
    this.#inserter = options.inserter;
    this.#log = options.log;
    this.#knownProducers = options.knownProducers;
  }

  async commit(sealed: SealedSegment): Promise<CommitOutcome> {
    if (sealed.recovered) {
      // An earlier process may have put it into quarantine and died before it removed the file.
      const quarantined = await this.#inserter.waitForAnswer({
        table: 'quarantine',
        batchId: sealed.id,
        receivedDate: receivedDate(sealed.id),
      });
      if (quarantined === 'stopped') return { kind: 'stopped' };
      if (quarantined === 'yes')
        return this.#recordQuarantined(sealed, { code: 0, message: 'see quarantine' });
    }
    const prepared = await this.#source.read(sealed, (segment, damage) => this.#prepare(segment, damage));
    const outcome = await this.#store(sealed, prepared);
    if (outcome.kind === 'stopped' || prepared.damage === '') return outcome;
    return { kind: 'set_aside', reason: prepared.damage };
  }

  #prepare(segment: SegmentContents, damage: string): Prepared {
    return {
      damage,
      producerIds: segment.producers.map(({ id }) => formatUuid(id)),
      producers: producerRows(segment, (id) => this.#knownProducers.has(id)),
      losses: lossRows(segment),
      block: this.#encoder.encode(segment),
    };
  }

  async #store(sealed: SealedSegment, prepared: Prepared): Promise<CommitOutcome> {
    let refused: CommitOutcome | undefined;
    for (const [table, rows] of [
      ['producers', prepared.producers],
      ['losses', prepared.losses],
    ] as const) {
      const outcome = await this.#insertRows(table, sealed.id, sealed, rows);
      if (outcome.kind === 'stopped') return outcome;
      // A row of the ledger that the store refuses must not cost anyone an event; the file is kept for it.
      if (outcome.kind === 'refused') refused = this.#refusedLedger(table, outcome);
    }
    this.#remember(prepared.producerIds);
    const events = await this.#storeEvents(sealed, prepared);
    return events.kind === 'stopped' ? events : (refused ?? events);
  }

  async #storeEvents(sealed: SealedSegment, { block, losses }: Prepared): Promise<CommitOutcome> {
    if (block.rows === 0)
      return { kind: 'committed', events: 0, losses: losses.length, foundCommitted: false };
    const outcome = await this.#inserter.insert({
      table: 'events',
      format: 'Native',
      columns: eventsColumnNames,
      batchId: sealed.id,
      token: sealed.id,
      receivedDate: receivedDate(sealed.id),
      rows: block.rows,
      body: block.chunks,
      inDoubt: sealed.recovered,
      idempotent: false,
    });
    if (outcome.kind === 'stopped') return outcome;
    if (outcome.kind === 'refused') return this.#quarantine(sealed, outcome);
    return {
      kind: 'committed',
      events: block.rows,
      losses: losses.length,
      foundCommitted: outcome.foundCommitted,
    };
  }

  async #quarantine(sealed: SealedSegment, refusal: Refusal): Promise<CommitOutcome> {
    this.#log.warn(
      { batch: sealed.id, code: refusal.code, error: refusal.message.slice(0, 500) },
      'ClickHouse refuses a batch for good; its requests go to quarantine',
    );
    const ledger = await this.#source.read(sealed, (segment) => quarantineRows(segment, refusal));
    const outcome = await this.#insertRows('quarantine', sealed.id, sealed, ledger);
    if (outcome.kind === 'stopped') return outcome;
    if (outcome.kind === 'refused') return this.#refusedLedger('quarantine', outcome);
    return this.#recordQuarantined(sealed, refusal);
  }

  /** The rows of `losses` for a segment that is in quarantine. They come after it, so a crash in between is seen. */
  async #recordQuarantined(sealed: SealedSegment, refusal: Refusal): Promise<CommitOutcome> {
    const { events, losses } = await this.#source.read(sealed, (segment) => ({
      events: segment.eventCount,
      losses: quarantinedLossRows(segment, refusal),
    }));
    const outcome = await this.#insertRows('losses', `${sealed.id}-quarantined`, sealed, losses);
    if (outcome.kind === 'stopped') return outcome;
    if (outcome.kind === 'refused') return this.#refusedLedger('losses', outcome);
    return { kind: 'quarantined', events, refusal };
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
    sealed: SealedSegment,
    rows: readonly LedgerRow[],
  ): Promise<InsertOutcome> {
    const first = rows[0];
    if (first === undefined) return { kind: 'stored', tries: 0, foundCommitted: false };
    const batch: Batch = {
      table,
      format: 'JSONEachRow',
      columns: ledgerColumns(first),
      batchId,
      token: `${batchId}-${table}`,
      receivedDate: receivedDate(sealed.id),
      rows: rows.length,
      body: jsonEachRow(rows.map((row) => ({ ...row, values: { ...row.values, batch_id: batchId } }))),
      inDoubt: sealed.recovered,
      idempotent: table === 'producers',
    };
    return this.#inserter.insert(batch);
  }

  #remember(producerIds: readonly string[]): void {
    if (this.#knownProducers.size + producerIds.length > mostKnownProducers) this.#knownProducers.clear();
    for (const id of producerIds) this.#knownProducers.add(id);
  }
}
