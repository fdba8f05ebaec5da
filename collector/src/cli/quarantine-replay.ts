/**
 * `sluice quarantine replay`: inserts the kept events into `events` again, exactly once, whenever and
 * however often it is killed.
 *
 * Invariants:
 * 1. A row goes in under its own batch id and token, which name its events within their segment: the table
 *    is asked for it before every insert, and a collector that starts in between finds it done.
 * 2. First the events are stored, then the rows of `losses` deleted, then those of `quarantine`. At any
 *    moment an event is in one of the tables, and what a killed run has left, the next one finishes.
 * 3. A row that its collector has not entered in `losses` yet is left to it, however old: it may have waited
 *    for the store itself. Only one that is old and stays like that before our eyes is taken for abandoned.
 */
import { RefusedSegments } from '../commit-refused.js';
import { type EncodedBlock, eventsColumns, SegmentEncoder } from '../encode/encode-segment.js';
import { receivedDate } from '../encode/ledger-rows.js';
import { SegmentIndex } from '../encode/segment-index.js';
import { partsOf, readBatchId, type SegmentPart } from '../encode/segment-part.js';
import { SluiceError } from '../errors.js';
import { messageLimits, type StoreLimits } from '../limits.js';
import type { Refusal, RequestRecord, SegmentContents } from '../record.js';
import {
  type Batch,
  BatchInserter,
  type InsertNotices,
  type InsertOutcome,
  sleep,
} from '../store/batch-inserter.js';
import { RangeSet } from '../store/bisection.js';
import { BisectionAllowance } from '../store/bisection-allowance.js';
import { ClickHouse, type StoreAnswer, type StoreRequest } from '../store/clickhouse.js';
import { type EarlierWork, earlierWork } from '../store/earlier-work.js';
import { isRefusedForGood } from '../store/refusals.js';
import { uuidTimeMs } from '../uuid7.js';
import { decodeStoredProducer } from '../validate/decode-producer.js';
import { scanRequest } from '../validate/scan-request.js';
import type { SealedSegment } from '../wal/log.js';
import { CommandFailure } from './failure.js';
import { deleteBatches, type QuarantineSelection, selectionOf } from './quarantine.js';
import { settingsOf, shownUrl } from './settings.js';
import { listOfTexts, plural, type StorePlace, sameStore, shortError, storeRows } from './store-rows.js';
import { renderTable } from './table.js';

/** One row of `quarantine`, without its request. */
interface KeptRow {
  readonly batchId: string;
  readonly segmentId: string;
  readonly part: SegmentPart;
  readonly receivedDate: string;
  readonly requestBytes: number;
  readonly isRecorded: boolean;
}

/** Rows and bytes that are read, stored and deleted together. */
const groupRows = 500;
const groupBytes = 8 * 1024 * 1024;
/** A row of a younger segment without its record in the ledger is its collector's, running or not. */
const youngMs = 10 * 60_000;

/** How long a replay waits, in milliseconds. */
const replayWaits = {
  /** Without an answer to an insert for so long, the store is not there. */
  patienceMs: 30_000,
  /** A collector enters a row in the ledger well within this time after the row itself. */
  recordMs: 15_000,
  /** Between two looks whether it has. */
  lookMs: 500,
} as const;
type ReplayWaits = { readonly [name in keyof typeof replayWaits]: number };

/** Everything passed the door once, under whatever limits. */
const unlimited = Object.fromEntries(
  Object.keys(messageLimits).map((name) => [name, Number.MAX_SAFE_INTEGER]),
) as { [name in keyof typeof messageLimits]: number };

/** @param waits shorter ones for tests */
export async function quarantineReplay(
  flags: QuarantineSelection,
  waits: ReplayWaits = replayWaits,
): Promise<void> {
  const { store } = settingsOf(flags);
  const place = { url: store.url, database: store.database };
  const { rows, reports } = await listKept(place, flags);
  const replay = new Replay(place, store, waits);
  try {
    for (const group of groupsOf(rows)) await replay.run(group);
  } finally {
    await replay.close();
  }
  process.stdout.write(replay.summary(rows.length, reports, flags));
  if (replay.isComplete) return;
  throw new CommandFailure(replay.whatIsLeft(flags));
}

async function listKept(
  place: StorePlace,
  flags: QuarantineSelection,
): Promise<{ rows: KeptRow[]; reports: number }> {
  const { where, parameters } = selectionOf(flags);
  const found = await storeRows(
    place,
    `SELECT toString(batch_id), toString(received_date), toFloat64(length(request)), toFloat64(events),
       (received_date, batch_id) IN (SELECT received_date, batch_id FROM losses WHERE origin = 'store' AND reason = 'quarantined')
     FROM quarantine ${where} ORDER BY received_date, batch_id`,
    parameters,
  );
  const rows: KeptRow[] = [];
  let reports = 0;
  for (const [batch, day, bytes, events, isRecorded] of found) {
    const name = readBatchId(String(batch));
    if (events === 0 || name?.kind !== 'part') {
      reports++;
      continue;
    }
    rows.push({
      batchId: String(batch),
      segmentId: name.segmentId,
      part: name.part,
      receivedDate: String(day),
      requestBytes: Number(bytes),
      isRecorded: isRecorded === 1 || isRecorded === true,
    });
  }
  return { rows, reports };
}

function* groupsOf(rows: readonly KeptRow[]): Generator<KeptRow[]> {
  let group: KeptRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    const isFull = group.length >= groupRows || bytes + row.requestBytes > groupBytes;
    if (group.length > 0 && (isFull || group[0]?.receivedDate !== row.receivedDate)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(row);
    bytes += row.requestBytes;
  }
  if (group.length > 0) yield group;
}

/** ClickHouse, and whoever wants to know when it took an insert or refused it for good. */
class WatchedClickHouse extends ClickHouse {
  readonly #onSettled: () => void;

  constructor(place: StorePlace, limits: StoreLimits, onSettled: () => void) {
    super(place, limits);
    this.#onSettled = onSettled;
  }

  override async send(request: StoreRequest): Promise<StoreAnswer> {
    const answer = await super.send(request);
    const isSettled = answer.kind === 'ok' || (answer.kind === 'exception' && isRefusedForGood(answer.code));
    // A store that answers questions only, as one that is read-only, does not get any further.
    if (isSettled && request.body !== undefined) this.#onSettled();
    return answer;
  }
}

class Replay {
  readonly #place: StorePlace;
  readonly #waits: ReplayWaits;
  /** When the rows were seen first: by no means later than their listing. */
  readonly #seenMs = performance.now();
  readonly #clickhouse: ClickHouse;
  readonly #inserter: BatchInserter;
  readonly #limits: StoreLimits;
  readonly #index = new SegmentIndex();
  readonly #encoder = new SegmentEncoder(this.#index);
  readonly #allowance: BisectionAllowance;
  readonly #stop = new AbortController();
  #patience: NodeJS.Timeout | undefined;
  #problem = '';
  #storedEvents = 0;
  #unrecordedRows = 0;
  #abandonedRows = 0;
  #hasToldOfWait = false;
  /** Events still refused, by code and first line of the reason. */
  readonly #refused = new Map<string, { code: number; reason: string; events: number }>();

  constructor(place: StorePlace, limits: StoreLimits, waits: ReplayWaits) {
    this.#place = place;
    this.#limits = limits;
    this.#waits = waits;
    this.#clickhouse = new WatchedClickHouse(place, limits, () => this.#keepPatience());
    const notices: InsertNotices = {
      warn: (fields) => {
        if ('problem' in fields) this.#problem = String(fields.problem);
      },
      info: () => {},
    };
    this.#inserter = new BatchInserter(this.#clickhouse, limits, notices, this.#stop.signal);
    this.#allowance = new BisectionAllowance(limits.bisectionInserts);
  }

  async close(): Promise<void> {
    clearTimeout(this.#patience);
    await this.#clickhouse.close();
  }

  get isComplete(): boolean {
    return this.#refused.size === 0 && this.#unrecordedRows === 0;
  }

  /** Stores what of a group is taken, then deletes its rows. */
  async run(group: readonly KeptRow[]): Promise<void> {
    const day = (group[0] as KeptRow).receivedDate;
    const unrecorded = await this.#waitForRecords(group.filter(({ isRecorded }) => !isRecorded));
    const requests = await this.#readRequests(group);
    const done: string[] = [];
    for (const row of group) {
      const request = requests.get(row.batchId);
      // Gone since it was listed: another replay had it.
      if (request === undefined) continue;
      if (unrecorded.has(row)) {
        if (Date.now() - uuidTimeMs(row.segmentId) <= youngMs) {
          this.#unrecordedRows++;
          continue;
        }
        this.#abandonedRows++;
      }
      this.#keepPatience();
      if (await this.#store(row, request)) done.push(row.batchId);
    }
    clearTimeout(this.#patience);
    if (done.length === 0) return;
    await deleteBatches(this.#place, 'losses', day, done);
    await deleteBatches(this.#place, 'quarantine', day, done);
  }

  async #readRequests(
    group: readonly KeptRow[],
  ): Promise<Map<string, { bytes: Buffer; receivedMs: number }>> {
    const rows = await storeRows(
      this.#place,
      `SELECT toString(batch_id), toString(toUnixTimestamp64Milli(time)), request FROM quarantine
       WHERE received_date = ${listOfTexts([(group[0] as KeptRow).receivedDate])} AND batch_id IN (${listOfTexts(group.map(({ batchId }) => batchId))})`,
    );
    return new Map(
      rows.map(([batch, time, request]) => [
        String(batch),
        { bytes: Buffer.from(String(request), 'base64'), receivedMs: Number(time) },
      ]),
    );
  }

  /** Whether nothing of the row is left to do but its deletion. */
  async #store(row: KeptRow, request: { bytes: Buffer; receivedMs: number }): Promise<boolean> {
    const contents = contentsOf(row, request.bytes, request.receivedMs);
    const events = row.part.to - row.part.from;
    const sealed: SealedSegment = { id: row.segmentId, bytes: request.bytes.length, recovered: true };
    const covered = events === 1 ? new RangeSet() : await this.#coveredOf(row);
    let refusal: Refusal = { code: 0, message: '' };
    if (!covered.touches(row.part)) {
      const outcome = await this.#insertWhole(sealed, row, contents);
      if (outcome.kind === 'stored') {
        this.#storedEvents += events;
        return true;
      }
      refusal = outcome;
    }
    if (events === 1) {
      this.#countRefused(refusal, 1);
      return false;
    }
    return this.#storeInParts(sealed, row, contents, covered, refusal);
  }

  async #insertWhole(
    sealed: SealedSegment,
    { part }: KeptRow,
    contents: SegmentContents,
  ): Promise<Exclude<InsertOutcome, { kind: 'stopped' }>> {
    const outcome = await this.#inserter.insert(toBatch(sealed, part, this.#encoder.encode(contents, part)));
    if (outcome.kind === 'stopped') throw this.#unreachable();
    return outcome;
  }

  /**
   * A row of several events, of which some are taken: they are stored as parts of it, and a row for each
   * other one takes the place of this.
   */
  async #storeInParts(
    sealed: SealedSegment,
    { part, batchId }: KeptRow,
    contents: SegmentContents,
    covered: RangeSet,
    refusal: Refusal,
  ): Promise<boolean> {
    const segments = new RefusedSegments({
      source: { read: async (_, work) => work(contents, undefined) },
      encoder: this.#encoder,
      index: this.#index,
      inserter: this.#inserter,
      log: { warn: () => {}, info: () => {} },
      allowance: this.#allowance,
      toBatch,
    });
    const outcome = await segments.commit(sealed, {
      within: part,
      covered,
      refusal,
      replaces: batchId,
    });
    if (outcome.kind === 'stopped') throw this.#unreachable();
    if (outcome.kind === 'refused') {
      throw new CommandFailure(
        `sluice: ClickHouse refuses rows of ${outcome.table} (code ${outcome.refusal.code}): ${outcome.refusal.message.trim()}\n` +
          'Nothing is lost; mend it and replay again.',
      );
    }
    this.#storedEvents += outcome.stored;
    if (outcome.quarantined > 0) this.#countRefused(outcome.refusal ?? refusal, outcome.quarantined);
    return true;
  }

  /** What an earlier run stored of a row's events, or put into rows of their own. */
  async #coveredOf({ segmentId, receivedDate, batchId }: KeptRow): Promise<RangeSet> {
    const work = await earlierWork(this.#inserter, { id: segmentId, receivedDate });
    if (work === undefined) throw this.#unreachable();
    const others = [...work.quarantine.keys()].filter((id) => id !== batchId);
    return new RangeSet([...partsOf(work.events), ...partsOf(others)]);
  }

  /**
   * Waits for the collectors of rows that are not in the ledger; returns those that still are not. A row of
   * which something is stored is handled already: a replay was killed there.
   */
  async #waitForRecords(rows: readonly KeptRow[]): Promise<Set<KeptRow>> {
    let left = [...rows];
    for (;;) {
      const works = new Map<string, EarlierWork>();
      this.#keepPatience();
      for (const { segmentId: id, receivedDate } of left) {
        if (works.has(id)) continue;
        const work = await earlierWork(this.#inserter, { id, receivedDate });
        if (work === undefined) throw this.#unreachable();
        works.set(id, work);
        this.#keepPatience();
      }
      const stored = new Map([...works].map(([id, { events }]) => [id, new RangeSet(partsOf(events))]));
      left = left.filter(
        ({ segmentId, batchId, part }) =>
          works.get(segmentId)?.losses.has(batchId) !== true && stored.get(segmentId)?.touches(part) !== true,
      );
      const restMs = this.#seenMs + this.#waits.recordMs - performance.now();
      clearTimeout(this.#patience);
      if (left.length === 0 || restMs <= 0) return new Set(left);
      if (!this.#hasToldOfWait) {
        this.#hasToldOfWait = true;
        process.stderr.write(
          `waiting up to ${Math.ceil(restMs / 1000)} s: a collector may be about to enter ${plural(left.length, 'row')} among the losses\n`,
        );
      }
      await sleep(Math.min(this.#waits.lookMs, restMs), this.#stop.signal);
    }
  }

  #countRefused({ code, message }: Refusal, events: number): void {
    const reason = shortError(message, 160);
    const key = `${code} ${reason.replace(/ is violated at row [\s\S]*$/, '')}`;
    const known = this.#refused.get(key);
    if (known === undefined) this.#refused.set(key, { code, reason, events });
    else known.events += events;
  }

  #keepPatience(): void {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#stop.abort(), this.#waits.patienceMs);
  }

  #unreachable(): SluiceError {
    return new SluiceError(
      'store_unavailable',
      `the store at ${shownUrl(this.#place.url)} took nothing for ${Math.round(this.#waits.patienceMs / 1000)} s (${this.#problem || `timeout ${this.#limits.insertTimeoutMs} ms`}). ` +
        'Nothing is lost; run the replay again, and it goes on where it stopped.',
    );
  }

  summary(rows: number, reports: number, flags: QuarantineSelection): string {
    const told =
      reports === 0
        ? ''
        : `${plural(reports, 'report')} of damaged files cannot be replayed: the files lie in wal/damaged of their collector.\n`;
    if (rows === 0) {
      return `Nothing is there to replay.\n${told}See what is in quarantine:\n  npx sluice quarantine list${sameStore(flags)}\n`;
    }
    const stored = `${plural(this.#storedEvents, 'event')} stored, out of ${plural(rows, 'row')} of quarantine.\n`;
    const abandoned =
      this.#abandonedRows === 0
        ? ''
        : `${plural(this.#abandonedRows, 'row')} had no entry among the losses for ${Math.round(this.#waits.recordMs / 1000)} s, and counted as left behind by a collector that is gone.\n`;
    const next =
      this.isComplete && this.#storedEvents > 0 ? `See them:\n  npx sluice runs${sameStore(flags)}\n` : '';
    return stored + abandoned + told + next;
  }

  whatIsLeft(flags: QuarantineSelection): string {
    const lines: string[] = [];
    if (this.#unrecordedRows > 0) {
      lines.push(
        `${plural(this.#unrecordedRows, 'row')} left alone: a collector has yet to enter them among the losses. Start it if it is not running, then replay again.`,
      );
    }
    if (this.#refused.size > 0) {
      const table = renderTable(
        [{ title: 'events', align: 'right' }, { title: 'code', align: 'right' }, { title: 'reason' }],
        [...this.#refused.values()].map(({ events, code, reason }) => [String(events), String(code), reason]),
      );
      lines.push(
        `Still refused by ClickHouse:\n${table}Mend the cause, such as ALTER TABLE events DROP CONSTRAINT name, and replay again; or throw them away:\n  npx sluice quarantine drop --run R${sameStore(flags)}`,
      );
    }
    return `sluice: ${lines.join('\n')}`;
  }
}

/**
 * The kept request as the segment that it was part of: the events before it stand as a request without
 * bytes, so that its own have the numbers that their batch id says.
 */
function contentsOf(row: KeptRow, bytes: Buffer, receivedUnixMs: number): SegmentContents {
  const scan = scanRequest(bytes, unlimited);
  const events = row.part.to - row.part.from;
  if (scan.kind !== 'scanned' || scan.producer === null || scan.eventCount !== events) {
    const problem = scan.kind === 'scanned' ? `it does not hold ${plural(events, 'event')}` : scan.problem;
    throw new CommandFailure(
      `sluice: the request of batch ${row.batchId} cannot be read: ${problem}.\n` +
        `Somebody has changed the row. Drop it to go on:\n  npx sluice quarantine drop --batch ${row.batchId}`,
    );
  }
  const request: RequestRecord = {
    producerIndex: 0,
    receivedUnixMs,
    firstSequence: scan.firstSequence,
    lastSequence: scan.lastSequence,
    eventCount: scan.eventCount,
    lossCount: 0,
    rejections: [],
    start: 0,
    end: bytes.length,
  };
  const before: RequestRecord = { ...request, eventCount: row.part.from, end: 0 };
  return {
    id: row.segmentId,
    bytes,
    producers: [decodeStoredProducer(scan.producer)],
    requests: row.part.from === 0 ? [request] : [before, request],
    eventCount: row.part.to,
  };
}

function toBatch(sealed: SealedSegment, part: SegmentPart, block: EncodedBlock): Batch {
  return {
    table: 'events',
    format: 'Native',
    columns: eventsColumns.map(([name]) => name),
    batchId: part.batchId,
    token: part.batchId,
    receivedDate: receivedDate(sealed.id),
    rows: block.rows,
    body: block.chunks,
    inDoubt: true,
    idempotent: false,
    isWithinRefused: true,
  };
}
