/**
 * What the worker thread does with one sealed segment: read, encode, insert. Concrete stages meet
 * here as they do in collector.ts, for the other thread.
 *
 * Order of a segment's inserts: its producers, its losses, what damage took from it, its events. Whoever
 * sees an event can look up its producer, and a number that is missing among the events has its reason
 * already.
 */

import { type DamageReport, reportDamage } from './commit-damage.js';
import { type RefusedOutcome, RefusedSegments } from './commit-refused.js';
import { insertRows } from './commit-rows.js';
import { namedProducers, strangersOf } from './encode/damage-rows.js';
import { type EncodedBlock, eventsColumns, type SegmentEncoder } from './encode/encode-segment.js';
import { type LedgerRow, lossRows, producerRows, receivedDate } from './encode/ledger-rows.js';
import type { SegmentIndex } from './encode/segment-index.js';
import {
  damageBatchId,
  lateDamageBatchId,
  partsOf,
  type SegmentPart,
  segmentPart,
} from './encode/segment-part.js';
import { isPlanted } from './fault-points.js';
import { innerLimits } from './limits.js';
import type { Damage, Refusal, SegmentContents } from './record.js';
import type { SegmentSource } from './segment-source.js';
import type { Batch, BatchInserter, InsertNotices } from './store/batch-inserter.js';
import { RangeSet } from './store/bisection.js';
import type { BisectionAllowance } from './store/bisection-allowance.js';
import { type EarlierWork, earlierWork, nothingDone } from './store/earlier-work.js';
import { formatUuid } from './uuid7.js';
import type { SealedSegment } from './wal/log.js';

export type CommitOutcome =
  | {
      readonly kind: 'committed';
      readonly events: number;
      readonly losses: number;
      readonly foundCommitted: boolean;
    }
  /** ClickHouse refuses some of its events for good: they are in quarantine, the others are stored. */
  | { readonly kind: 'stored_in_part'; readonly events: number; readonly quarantined: number }
  /** It cannot be stored in full: what could be read was stored, and the file is kept out of the way. */
  | { readonly kind: 'set_aside'; readonly reason: string }
  | { readonly kind: 'stopped' };

const eventsColumnNames = eventsColumns.map(([name]) => name);
/** What is said of parts whose refusal an earlier process saw. */
const refusedEarlier: Refusal = { code: 0, message: 'refused together with events that ClickHouse refuses' };

/** Everything that a segment brings, free of the segment's bytes. */
interface Prepared {
  readonly damage: DamageReport | undefined;
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
  readonly #refused: RefusedSegments;

  constructor(options: {
    /** Shared by all committers of a process, as are `knownProducers`, `index` and `allowance`. */
    source: SegmentSource;
    encoder: SegmentEncoder;
    index: SegmentIndex;
    inserter: BatchInserter;
    log: InsertNotices;
    knownProducers: Set<string>;
    allowance: BisectionAllowance;
  }) {
    this.#source = options.source;
    this.#encoder = options.encoder;
    this.#inserter = options.inserter;
    this.#log = options.log;
    this.#knownProducers = options.knownProducers;
    this.#refused = new RefusedSegments({ ...options, toBatch: eventsBatch });
  }

  async commit(sealed: SealedSegment): Promise<CommitOutcome> {
    const segment = { id: sealed.id, receivedDate: receivedDate(sealed.id) };
    const asks = sealed.recovered && !isPlanted('skip-in-doubt-check');
    const earlier = asks ? await earlierWork(this.#inserter, segment) : nothingDone;
    if (earlier === undefined) return { kind: 'stopped' };
    const prepared = await this.#source.read(sealed, (contents, damage) => ({
      ...this.#prepare(contents, damage ?? mendedDamage(sealed)),
      isMended: damage === undefined,
    }));
    const { damage, isMended } = prepared;
    if (damage !== undefined && wasSound(sealed.id, earlier)) {
      this.#log.warn(
        { segment: sealed.id, problem: damage.damage.problem },
        'a segment was damaged after it had been committed in full; nothing is lost',
      );
      return { kind: 'committed', events: prepared.block.rows, losses: 0, foundCommitted: true };
    }
    if (damage !== undefined && wasCutSound(sealed.id, earlier)) return this.#giveUpParts(sealed, damage);
    const outcome = await this.#store(sealed, prepared, earlier);
    // Of a segment that recovery has mended, a copy lies aside already.
    if (outcome.kind === 'stopped' || damage === undefined || isMended) return outcome;
    return { kind: 'set_aside', reason: damage.damage.problem };
  }

  /**
   * The file was damaged after parts of it had been stored: what can be read of it now does not have the
   * numbers any more by which those were named. Storing it could double what is stored, and the ranges of
   * the damage hold what is stored, so only the file is reported; `sequence_gaps` has what is missing.
   */
  async #giveUpParts(sealed: SealedSegment, report: DamageReport): Promise<CommitOutcome> {
    const problem = `${report.damage.problem}; that was after parts of it had been stored, and what is missing of the others stands in sequence_gaps`;
    const late = { ...report, damage: { problem, ranges: [] }, strangers: [] };
    const outcome = await reportDamage(this.#inserter, sealed, late, lateDamageBatchId(sealed.id));
    if (outcome.kind === 'stopped') return outcome;
    return { kind: 'set_aside', reason: problem };
  }

  /**
   * Reports a segment that breaks our own code, so that SQL tells of it. Its numbers are not reported:
   * some of them may be stored, and `sequence_gaps` has those that are not.
   */
  async giveUp(sealed: SealedSegment, problem: string): Promise<CommitOutcome> {
    const report = { damage: { problem, ranges: [] }, producers: new Map(), strangers: [] };
    const again = { ...sealed, recovered: true };
    const outcome = await reportDamage(this.#inserter, again, report, damageBatchId(sealed.id));
    return outcome.kind === 'stopped' ? outcome : { kind: 'set_aside', reason: problem };
  }

  #prepare(segment: SegmentContents, damage: Damage | undefined): Prepared {
    return {
      damage: damage && {
        damage,
        producers: namedProducers(segment),
        strangers: strangersOf(segment, damage),
      },
      producerIds: segment.producers.map(({ id }) => formatUuid(id)),
      producers: producerRows(segment, (id) => this.#knownProducers.has(id)),
      losses: lossRows(segment),
      block: this.#encoder.encode(segment),
    };
  }

  async #store(sealed: SealedSegment, prepared: Prepared, earlier: EarlierWork): Promise<CommitOutcome> {
    let refused: CommitOutcome | undefined;
    for (const [table, rows] of [
      ['producers', prepared.producers],
      ['losses', prepared.losses],
    ] as const) {
      const outcome = await insertRows(this.#inserter, sealed, {
        table,
        batchId: sealed.id,
        token: `${sealed.id}-${table}`,
        rows,
        inDoubt: sealed.recovered,
      });
      if (outcome.kind === 'stopped') return outcome;
      // A row of the ledger that the store refuses must not cost anyone an event; the file is kept for it.
      if (outcome.kind === 'refused') refused = refusedLedger(table, outcome);
    }
    this.#remember(prepared.producerIds);
    if (prepared.damage !== undefined) {
      const outcome = await reportDamage(this.#inserter, sealed, prepared.damage);
      if (outcome.kind === 'stopped') return outcome;
      if (outcome.kind === 'refused') refused = refusedLedger(outcome.table, outcome.refusal);
    }
    const events = await this.#storeEvents(sealed, prepared, earlier);
    return events.kind === 'stopped' ? events : (refused ?? events);
  }

  async #storeEvents(
    sealed: SealedSegment,
    { block, losses }: Prepared,
    earlier: EarlierWork,
  ): Promise<CommitOutcome> {
    const committed = { kind: 'committed', events: block.rows, losses: losses.length } as const;
    if (block.rows === 0) return { ...committed, foundCommitted: false };
    if (sealed.recovered && isPlanted('recut-on-replay')) return this.#storeRecut(sealed, block.rows);
    const whole = { from: 0, to: block.rows };
    const covered = new RangeSet([
      ...partsOf(earlier.events),
      ...partsOf(earlier.quarantine.keys()),
      ...partsOf(earlier.losses),
    ]);
    if (earlier.events.has(sealed.id)) return { ...committed, foundCommitted: true };
    let refusal = refusedEarlier;
    if (!covered.touches(whole)) {
      const outcome = await this.#inserter.insert(
        eventsBatch(sealed, { ...whole, batchId: sealed.id }, block),
      );
      if (outcome.kind === 'stopped') return outcome;
      if (outcome.kind === 'stored') return { ...committed, foundCommitted: outcome.foundCommitted };
      refusal = outcome;
      this.#log.warn(
        { batch: sealed.id, events: block.rows, code: refusal.code, error: refusal.message.slice(0, 500) },
        'ClickHouse refuses a batch for good; the events that it refuses go to quarantine, the others are stored',
      );
    }
    const outcome = await this.#refused.commit(sealed, { within: whole, covered, refusal });
    return this.#toCommitOutcome(sealed, outcome);
  }

  #toCommitOutcome(sealed: SealedSegment, outcome: RefusedOutcome): CommitOutcome {
    switch (outcome.kind) {
      case 'kept':
        this.#log.info(
          { batch: sealed.id, events: outcome.stored, quarantined: outcome.quarantined },
          'a batch is stored in part; sluice quarantine list shows the rest',
        );
        return { kind: 'stored_in_part', events: outcome.stored, quarantined: outcome.quarantined };
      case 'refused':
        return refusedLedger(outcome.table, outcome.refusal);
      case 'stopped':
        return outcome;
    }
  }

  /** The planted bug: boundaries that move at a replay, so that the batch of the first try is not looked for. */
  async #storeRecut(sealed: SealedSegment, events: number): Promise<CommitOutcome> {
    // Elsewhere at every start, as when boundaries follow from what a process happens to read.
    const middle = process.pid % (events + 1);
    for (const range of [
      { from: 0, to: middle },
      { from: middle, to: events },
    ]) {
      if (range.to === range.from) continue;
      const part = segmentPart(sealed.id, range);
      const block = await this.#source.read(sealed, (segment) => this.#encoder.encode(segment, part));
      const outcome = await this.#inserter.insert(eventsBatch(sealed, part, block));
      if (outcome.kind === 'stopped') return outcome;
      if (outcome.kind === 'refused') return refusedLedger('events', outcome);
    }
    return { kind: 'committed', events, losses: 0, foundCommitted: false };
  }

  #remember(producerIds: readonly string[]): void {
    if (this.#knownProducers.size + producerIds.length > innerLimits.commit.knownProducers)
      this.#knownProducers.clear();
    for (const id of producerIds) this.#knownProducers.add(id);
  }
}

/** A segment, or a part of one, as one INSERT. */
function eventsBatch(sealed: SealedSegment, part: SegmentPart, block: EncodedBlock): Batch {
  return {
    table: 'events',
    format: 'Native',
    columns: eventsColumnNames,
    batchId: part.batchId,
    token: part.batchId,
    receivedDate: receivedDate(sealed.id),
    rows: block.rows,
    body: block.chunks,
    inDoubt: sealed.recovered,
    idempotent: false,
  };
}

function refusedLedger(table: string, refusal: Refusal): CommitOutcome {
  return {
    kind: 'set_aside',
    reason: `ClickHouse refuses rows of ${table} for good (code ${refusal.code}): ${refusal.message.slice(0, 300)}`,
  };
}

/** Damage that recovery found and cut off. */
function mendedDamage(sealed: SealedSegment): Damage | undefined {
  return sealed.damage === undefined ? undefined : { problem: sealed.damage, ranges: [] };
}

/** Whether an earlier process stored parts of the segment before anything was wrong with its file. */
function wasCutSound(segmentId: string, earlier: EarlierWork): boolean {
  if (earlier.quarantine.has(damageBatchId(segmentId))) return false;
  return partsOf(earlier.events).length + partsOf(earlier.quarantine.keys()).length > 0;
}

/** Whether an earlier process stored the segment whole, before anything was wrong with its file. */
function wasSound(segmentId: string, earlier: EarlierWork): boolean {
  return earlier.events.has(segmentId) && !earlier.quarantine.has(damageBatchId(segmentId));
}
