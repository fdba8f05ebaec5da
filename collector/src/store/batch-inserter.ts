/**
 * Brings one batch into one table exactly once, however often that must be tried.
 *
 * Invariants:
 * 1. The token of every try is the batch's own: the same rows never go under another one.
 * 2. After every failure, and for a batch of an earlier process, the table is asked for the batch id
 *    before anything is sent again: the block may be in it whatever the error, as when a view behind it
 *    throws.
 *    A success that wrote no row, as when a body was dropped on its way, is such a failure.
 * 3. An INSERT is one block in one partition, so the batch is there whole or not at all.
 * 4. Trying ends only with 'stored', 'refused' for good, or 'stopped' when the process stops. A refusal
 *    counts when it came twice in a row and the block is not in the table: a body that was cut on its
 *    way is refused like a wrong one. Only the first try may hand its data over as a file (handover.ts): a
 *    later one sends it, so no fault of that way can last, and a refusal is heard on both. Within a block whose refusal is believed, once is enough if a cut
 *    body cannot have caused it.
 */
import { randomUUID } from 'node:crypto';
import { isPlanted, reach } from '../fault-points.js';
import type { StoreLimits } from '../limits.js';
import type { ClickHouse, StoreAnswer } from './clickhouse.js';
import { isRefusedForGood, mayBeCut } from './refusals.js';

export interface Batch {
  readonly table: string;
  readonly format: 'Native' | 'JSONEachRow';
  readonly columns: readonly string[];
  readonly batchId: string;
  /** Deduplication token; the batch id for `events`, with a suffix for the other tables. */
  readonly token: string;
  /** Day of the batch, which is the partition to look in, as 2026-11-23. */
  readonly receivedDate: string;
  readonly rows: number;
  readonly body: readonly Buffer[];
  /** An earlier process may have committed it. */
  readonly inDoubt: boolean;
  /** Rows that may be there twice, because the table keeps one of them: never asked for. */
  readonly idempotent: boolean;
  /** A part of a block that ClickHouse refuses for good: more refusals are expected. */
  readonly isWithinRefused?: boolean;
  /** The caller asks for many refused batches at once whether they are in the table all the same. */
  readonly isConfirmedLater?: boolean;
}

export type InsertOutcome =
  | { readonly kind: 'stored'; readonly tries: number; readonly foundCommitted: boolean }
  | { readonly kind: 'refused'; readonly code: number; readonly message: string }
  | { readonly kind: 'stopped' };

export interface InsertNotices {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

/** How often in a row a block must be refused. */
const refusalsToBelieve = 2;

/** Deduplication and durability, said outright: their defaults moved between ClickHouse's releases. */
export const insertSettings = {
  async_insert: 0,
  // Native matches columns by name; one that the table lacks must be an error, not a silent loss.
  input_format_skip_unknown_fields: 0,
  insert_deduplicate: 1,
  deduplicate_blocks_in_dependent_materialized_views: 1,
  throw_on_max_partitions_per_insert_block: 1,
  max_partitions_per_insert_block: 1,
  // One block in, one part out: never cut by size, never squashed with another.
  max_insert_block_size: 100_000_000,
  min_insert_block_size_rows: 0,
  min_insert_block_size_bytes: 0,
  max_insert_threads: 1,
  input_format_parallel_parsing: 0,
} as const;

export class BatchInserter {
  readonly #clickhouse: ClickHouse;
  readonly #limits: StoreLimits;
  readonly #log: InsertNotices;
  readonly #stop: AbortSignal;

  constructor(clickhouse: ClickHouse, limits: StoreLimits, log: InsertNotices, stop: AbortSignal) {
    this.#clickhouse = clickhouse;
    this.#limits = limits;
    this.#log = log;
    this.#stop = stop;
  }

  async insert(batch: Batch): Promise<InsertOutcome> {
    const asks = !batch.idempotent && !isPlanted('skip-in-doubt-check');
    let doubt = batch.inDoubt && asks;
    let refusals = 0;
    let refusal: InsertOutcome | undefined;
    let delayMs = this.#limits.retryInitialMs;
    for (let tries = 1; ; tries++) {
      if (this.#stop.aborted) return { kind: 'stopped' };
      if (doubt) {
        const found = await this.isCommitted(batch);
        if (found === 'yes') return { kind: 'stored', tries, foundCommitted: true };
        if (found === 'no') doubt = false;
      }
      if (!doubt) {
        if (refusal !== undefined && refusals >= refusalsToBelieve) return refusal;
        const answer = await this.#send(batch, tries > 1);
        if (answer.kind === 'ok' && !(asks && answer.writtenRows === 0 && batch.rows > 0)) {
          if (tries > 1) {
            this.#log.info(
              { batch: batch.batchId, table: batch.table, tries },
              'the store takes inserts again',
            );
          }
          return { kind: 'stored', tries, foundCommitted: false };
        }
        doubt = asks;
        if (answer.kind === 'exception' && isRefusedForGood(answer.code)) {
          refusals += batch.isWithinRefused === true && !mayBeCut(answer.code) ? refusalsToBelieve : 1;
          refusal = { kind: 'refused', code: answer.code, message: answer.message };
        } else refusals = 0;
        if (refusals === 0 || batch.isWithinRefused !== true) this.#report(batch, answer, tries, delayMs);
        // Nothing is sent again: whether the block is in the table can be asked at once.
        if (refusals >= refusalsToBelieve) {
          if (batch.isConfirmedLater === true && refusal !== undefined) return refusal;
          continue;
        }
      }
      await sleep(delayMs * (0.5 + Math.random() / 2), this.#stop);
      delayMs = Math.min(delayMs * 2, this.#limits.retryMaxMs);
    }
  }

  /** The first failure and every tenth after it: an outage of hours must not fill the disk with logs. */
  #report(batch: Batch, answer: StoreAnswer, tries: number, retryInMs: number): void {
    if (tries !== 1 && tries % 10 !== 0) return;
    const { batchId, table, rows } = batch;
    this.#log.warn(
      { batch: batchId, table, rows, tries, problem: problemOf(answer), retryInMs: Math.round(retryInMs) },
      'the store did not take a batch; it stays in the log and is tried again',
    );
  }

  /**
   * Asks until there is an answer that can be read; nothing if the process stops first.
   * @param question its query ends in FORMAT JSONCompactEachRow
   */
  async ask<Row extends readonly unknown[]>(question: {
    readonly query: string;
    readonly parameters: Readonly<Record<string, string>>;
    /** What is asked, for the log: "whether …". */
    readonly about: string;
  }): Promise<Row[] | undefined> {
    let delayMs = this.#limits.retryInitialMs;
    for (let tries = 1; ; tries++) {
      if (this.#stop.aborted) return undefined;
      const { query, parameters, about } = question;
      reach('in-doubt-check.before');
      const answer = await this.#clickhouse.send({
        query,
        parameters,
        timeoutMs: this.#limits.queryTimeoutMs,
      });
      reach('in-doubt-check.after');
      const rows = answer.kind === 'ok' ? readRows<Row>(answer.text) : undefined;
      if (rows !== undefined) return rows;
      if (tries === 1 || tries % 10 === 0) {
        const problem = answer.kind === 'ok' ? `no rows: ${answer.text.slice(0, 300)}` : problemOf(answer);
        this.#log.warn({ tries, problem }, `the store cannot tell ${about}; it waits`);
      }
      await sleep(delayMs * (0.5 + Math.random() / 2), this.#stop);
      delayMs = Math.min(delayMs * 2, this.#limits.retryMaxMs);
    }
  }

  async #send(batch: Batch, isSent: boolean): Promise<StoreAnswer> {
    reach('insert.before');
    const answer = await this.#clickhouse.send({
      query: `INSERT INTO ${batch.table} (${batch.columns.join(', ')}) FORMAT ${batch.format}`,
      settings: {
        ...insertSettings,
        insert_deduplication_token: isPlanted('fresh-token') ? randomUUID() : batch.token,
      },
      body: batch.body,
      isSent,
      timeoutMs: this.#limits.insertTimeoutMs,
    });
    reach('insert.after');
    return answer;
  }

  /** Whether the batch is in its table. */
  async isCommitted(
    batch: Pick<Batch, 'table' | 'batchId' | 'receivedDate'>,
  ): Promise<'yes' | 'no' | 'unknown'> {
    reach('in-doubt-check.before');
    const answer = await this.#clickhouse.send({
      query: `SELECT count() FROM (SELECT 1 FROM ${batch.table} WHERE received_date = {date:Date} AND batch_id = {batch:String} LIMIT 1) FORMAT TabSeparated`,
      parameters: { date: batch.receivedDate, batch: batch.batchId },
      timeoutMs: this.#limits.queryTimeoutMs,
    });
    reach('in-doubt-check.after');
    if (answer.kind !== 'ok') return 'unknown';
    const count = answer.text.trim();
    return count === '0' ? 'no' : count === '1' ? 'yes' : 'unknown';
  }
}

/** Rows of JSONCompactEachRow; undefined if the text is none. */
function readRows<Row>(text: string): Row[] | undefined {
  try {
    const rows = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row);
    return rows.every((row) => Array.isArray(row)) ? rows : undefined;
  } catch {
    return undefined;
  }
}

function problemOf(answer: StoreAnswer): string {
  if (answer.kind === 'ok') return 'the store says that it wrote no row';
  return answer.kind === 'unknown' ? answer.problem : answer.message.slice(0, 300);
}

/** Resolves after `ms`, or at once when `stop` is aborted. */
export function sleep(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener('abort', done, { once: true });
  });
}
